import type { ProcessInfo } from "../sys/process/process_info.ts";
import type { LockTable, TableLock, TableWaiter } from "./lock_table.ts";

/** A process that waits for a lock, or holds one that is waited for. */
export interface WaitNode {
  /** `pid 123`; for a process that isn't known, `unknown 1`. */
  name: string;
  /** The process; `undefined` when the kernel doesn't tell which. */
  process: ProcessInfo | undefined;
}

/** That one process can't go on before another does. */
export interface WaitEdge {
  /** Who waits. */
  from: WaitNode;
  /** For whom. */
  to: WaitNode;
  /**
   * `lock`: for a lock of the other. `child`: the other is a child, grandchild
   * and so on, which a parent often, but not always, waits for.
   */
  reason: "lock" | "child";
  /** The wish that makes `from`, or that child, wait. */
  waiter: TableWaiter;
  /** The lock that `to` holds; `undefined` for a child. */
  lock: TableLock | undefined;
}

/** Who waits for whom. */
export interface WaitGraph {
  /** Every process in it, in the order of the table. */
  nodes: WaitNode[];
  /** Every reason to wait, waiters in the order of the table. */
  edges: WaitEdge[];
}

/**
 * Draws from a lock table who waits for whom, across flock, POSIX, OFD locks
 * and leases.
 *
 * A waiter has an edge to every process that holds a lock in its way: each of
 * those may have to let go. A holder that doesn't wait for a lock itself has
 * an edge to each of its descendants that does, for a command's supervisor
 * keeps its lock until the command ends. Pure; needs no permission.
 *
 * @param table From `readLockTable`.
 * @returns The graph; empty when nobody waits.
 *
 * @example
 * ```ts
 * import { readLockTable, waitGraph } from "@holdfast/holdfast/inspect";
 *
 * for (const { from, to } of waitGraph(readLockTable()).edges) {
 *   console.log(`${from.name} waits for ${to.name}`);
 * }
 * ```
 */
export function waitGraph(table: LockTable): WaitGraph {
  const nodes = new Map<string, WaitNode>();
  const edges: WaitEdge[] = [];
  const waiting = new Set<number>();
  let unknown = 0;
  const nodeOf = (
    process: ProcessInfo | undefined,
    otherwise: string,
  ): WaitNode => {
    const key = process === undefined ? otherwise : `${process.pid}`;
    let node = nodes.get(key);
    if (node === undefined) {
      node = process === undefined
        ? { name: `unknown ${++unknown}`, process }
        : { name: `pid ${process.pid}`, process };
      nodes.set(key, node);
    }
    return node;
  };

  for (const waiter of table.waiters) {
    const from = nodeOf(waiter.process, `waiter ${waiter.id}`);
    if (waiter.process !== undefined) waiting.add(waiter.process.pid);
    for (const lock of waiter.blockers) {
      for (const { process } of lock.holders) {
        const to = nodeOf(process, `lock ${lock.id}`);
        edges.push({ from, to, reason: "lock", waiter, lock });
      }
    }
  }
  for (const waiter of table.waiters) {
    const to = nodeOf(waiter.process, `waiter ${waiter.id}`);
    for (const pid of waiter.ancestors) {
      const from = nodes.get(`${pid}`);
      if (from === undefined || waiting.has(pid)) continue;
      edges.push({ from, to, reason: "child", waiter, lock: undefined });
    }
  }
  return { nodes: [...nodes.values()], edges };
}
