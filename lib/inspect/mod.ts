/**
 * Every lock of this machine, who waits for whom, and rings of waiters.
 *
 * ```ts
 * import {
 *   findDeadlocks,
 *   readLockTable,
 *   waitGraph,
 * } from "@holdfast/holdfast/inspect";
 *
 * const table = readLockTable();
 * console.log(table.locks.length, findDeadlocks(waitGraph(table)).length);
 * ```
 *
 * Needs `--allow-ffi`, and as another user than root sees only part: see
 * `unreadablePids`.
 *
 * @module
 */

export type { HolderSource } from "./lock_holders.ts";
export type { LockedFile, PathStatus } from "./locked_path.ts";
export {
  type LockTable,
  readLockTable,
  type TableHolder,
  type TableLock,
  type TableRange,
  type TableWaiter,
} from "./lock_table.ts";
export {
  type WaitEdge,
  type WaitGraph,
  waitGraph,
  type WaitNode,
} from "./wait_graph.ts";
export { confirmDeadlocks, type Deadlock, findDeadlocks } from "./deadlock.ts";
export type { ProcessInfo } from "../sys/process/process_info.ts";
export {
  formatNeedle,
  type Needle,
  needleFromFd,
  needleFromPath,
} from "./needle.ts";
export {
  formatHolderList,
  type HolderInfo,
  type LockParties,
  NO_HOLDERS_RECORDED,
  readHolders,
  readHoldersForNeedle,
  readLockParties,
  readLockPartiesForNeedles,
} from "./holder.ts";
