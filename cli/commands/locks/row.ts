import type {
  LockTable,
  TableHolder,
  TableLock,
  TableWaiter,
} from "../../../lib/inspect/lock_table.ts";
import type { ProcessInfo } from "../../../lib/sys/process/process_info.ts";

/** Since when a lock is held, or a wait goes on. */
export interface KnownTime {
  /** The time, in milliseconds since 1970. */
  sinceMs: number;
  /** A trace knows it; a watch has seen it for the first time then. */
  from: "trace" | "watch";
}

/** Tells since when a lock is held, or a wait goes on. */
export type TimeSource = (
  entry: TableLock | TableWaiter,
) => KnownTime | undefined;

/** A lock, or somebody who waits for one. */
export interface Row {
  /** What it is about. */
  entry: TableLock | TableWaiter;
  /** The lock's holders; none for a waiter. */
  holders: readonly TableHolder[];
  /** The process to name first: the taker if it still holds the lock. */
  process: ProcessInfo | undefined;
  /** The locks in a waiter's way; none for a lock. */
  blockers: readonly TableLock[];
  /** Those who wait for this lock. */
  waiters: readonly TableWaiter[];
  /** Since when it is held or waited for, where a trace or a watch knows. */
  time: KnownTime | undefined;
  /** Whether it waits in a ring. */
  deadlocked: boolean;
}

/** Whether a row is about a wish and not about a lock. */
export function isWaiting({ entry }: Row): boolean {
  return "blockers" in entry;
}

/**
 * The rows of a table: each lock, and right after it those queued on it.
 *
 * @param deadlocked The waiters that are in a ring.
 * @param timeOf Since when something is so.
 */
export function toRows(
  table: LockTable,
  deadlocked: ReadonlySet<TableWaiter> = new Set(),
  timeOf: TimeSource = () => undefined,
): Row[] {
  const waitersOf = new Map<TableLock, TableWaiter[]>();
  for (const waiter of table.waiters) {
    for (const lock of waiter.blockers) {
      const known = waitersOf.get(lock);
      if (known === undefined) waitersOf.set(lock, [waiter]);
      else known.push(waiter);
    }
  }
  const rows: Row[] = [];
  const shown = new Set<TableWaiter>();
  const addWaiter = (waiter: TableWaiter) => {
    if (shown.has(waiter)) return;
    shown.add(waiter);
    rows.push({
      entry: waiter,
      holders: [],
      process: waiter.process,
      blockers: waiter.blockers,
      waiters: [],
      time: timeOf(waiter),
      deadlocked: deadlocked.has(waiter),
    });
  };
  for (const lock of table.locks) {
    const waiters = waitersOf.get(lock) ?? [];
    rows.push({
      entry: lock,
      holders: lock.holders,
      process: firstHolder(lock),
      blockers: [],
      waiters,
      time: timeOf(lock),
      deadlocked: waiters.some((waiter) => deadlocked.has(waiter)),
    });
    waiters.forEach(addWaiter);
  }
  table.waiters.forEach(addWaiter);
  return rows;
}

function firstHolder({ holders, takerPid }: TableLock):
  | ProcessInfo
  | undefined {
  const taker = holders.find(({ process }) => process?.pid === takerPid);
  return (taker ?? holders[0])?.process;
}
