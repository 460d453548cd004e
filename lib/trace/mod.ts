/**
 * Locks in time: who took, waited for, was refused and released which lock, for
 * every program of the machine, as it happens.
 *
 * ```ts
 * import { pollLocks } from "@holdfast/holdfast/trace";
 *
 * const signal = AbortSignal.timeout(100);
 * for await (const { activities } of pollLocks({ signal })) {
 *   for (const { event, file, process, waitedMs } of activities) {
 *     console.log(event, file.path, process.command, waitedMs);
 *   }
 * }
 * ```
 *
 * {@linkcode pollLocks} needs `--allow-ffi`, and misses what is short;
 * {@linkcode traceLocks} has the kernel tell and misses nothing, but also needs
 * root.
 *
 * @module
 */

export {
  type AlsoHeldLock,
  fileKey,
  type LockActivity,
  type LockEventName,
  type LockHolding,
  type TracedFile,
  type TracedLock,
  type TracedMode,
  type TracedProcess,
  type TracedType,
} from "./activity.ts";
export type { PathStatus } from "../inspect/locked_path.ts";
export type { FileFilterOptions } from "./file_filter.ts";
export { pollLocks, type PollOptions } from "./poll.ts";
export { type TraceBatch, traceLocks, type TraceOptions } from "./session.ts";
export { TraceUnavailableError } from "./tracefs.ts";
