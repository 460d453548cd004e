/**
 * The table of locks as OpenMetrics text, for the textfile collector of
 * Prometheus.
 *
 * @module
 */

import type {
  LockTable,
  TableLock,
  TableRange,
  TableWaiter,
} from "../../../lib/inspect/lock_table.ts";
import { formatMetrics, type Sample } from "../../ui/openmetrics.ts";
import { describePath } from "./column.ts";
import type { TimeSource } from "./row.ts";

/** Files that are told apart; the others count as one. */
const MAX_FILES = 100;
const OTHERS = "(others)";

interface Group {
  locks: TableLock[];
  waiters: TableWaiter[];
}

/** The whole text. */
export function tableMetrics(table: LockTable, timeOf?: TimeSource): string {
  const groups = groupByFile(table);
  const samples = (value: (group: Group) => number): Sample[] =>
    [...groups].map(([key, group]) => {
      const [file, type] = JSON.parse(key) as [string, string];
      return {
        labels: { file, type: type.toLowerCase() },
        value: value(group),
      };
    });
  const longest = (entries: readonly (TableLock | TableWaiter)[]) => {
    const known = entries.map((entry) => timeOf?.(entry)?.sinceMs)
      .filter((sinceMs) => sinceMs !== undefined);
    if (known.length === 0) return 0;
    return Math.max(0, table.readAtMs - Math.min(...known)) / 1000;
  };
  const atMost = (waiters: readonly TableWaiter[]) => {
    const starts = waiters.map(({ process }) => process?.startTimeMs)
      .filter((startMs) => startMs !== undefined);
    if (starts.length === 0) return 0;
    return Math.max(0, table.readAtMs - Math.min(...starts)) / 1000;
  };
  const families = [
    {
      name: "holdfast_locks_held",
      help: "Locks that are held now.",
      samples: samples(({ locks }) => locks.length),
    },
    {
      name: "holdfast_lock_waiters",
      help: "Processes that wait for a lock now.",
      samples: samples(({ waiters }) => waiters.length),
    },
    {
      name: "holdfast_longest_wait_at_most_seconds",
      unit: "seconds",
      help: "The age of the oldest process that waits: no wait is longer.",
      samples: samples(({ waiters }) => atMost(waiters)),
    },
    {
      name: "holdfast_unreadable_processes",
      help: "Processes that may not be looked into.",
      samples: [{ labels: {}, value: table.unreadablePids.length }],
    },
  ];
  if (timeOf === undefined) return formatMetrics(families);
  return formatMetrics([
    ...families,
    {
      name: "holdfast_longest_wait_seconds",
      unit: "seconds",
      help: "The longest wait that goes on, as a trace knows it.",
      samples: samples(({ waiters }) => longest(waiters)),
    },
    {
      name: "holdfast_longest_hold_seconds",
      unit: "seconds",
      help: "How long the oldest lock has been held, as a trace knows it.",
      samples: samples(({ locks }) => longest(locks)),
    },
  ]);
}

/** By file and kind, those first that are waited for. */
function groupByFile({ locks, waiters }: LockTable): Map<string, Group> {
  const all = new Map<string, Group>();
  const groupOf = (range: TableRange) => {
    const { file, type } = range;
    const name = describePath(file) ??
      `${file.major}:${file.minor}:${file.inode}`;
    const key = JSON.stringify([name, type]);
    const group = all.get(key) ?? { locks: [], waiters: [] };
    all.set(key, group);
    return group;
  };
  for (const lock of locks) groupOf(lock).locks.push(lock);
  for (const waiter of waiters) groupOf(waiter).waiters.push(waiter);
  const sorted = [...all].sort(([, a], [, b]) =>
    b.waiters.length - a.waiters.length || b.locks.length - a.locks.length
  );
  const kept = new Map(sorted.slice(0, MAX_FILES));
  for (const [key, { locks, waiters }] of sorted.slice(MAX_FILES)) {
    const [, type] = JSON.parse(key) as [string, string];
    const other = JSON.stringify([OTHERS, type]);
    const group = kept.get(other) ?? { locks: [], waiters: [] };
    kept.set(other, group);
    group.locks.push(...locks);
    group.waiters.push(...waiters);
  }
  return kept;
}
