/**
 * flock(2): locks of whole files, taken now or by a sleeping thread, by path or
 * by a descriptor of yours. `acquire` of the root waits for them as a promise.
 *
 * ```ts
 * import { blockFlock } from "@holdfast/holdfast/flock";
 *
 * using lock = blockFlock("/tmp/holdfast-example.lock", {
 *   timeoutMs: 5000,
 * });
 * console.log(lock === undefined ? "still busy" : `holding ${lock.path}`);
 * ```
 *
 * Permissions: `--allow-ffi`.
 *
 * @module
 */

// Needed by the first lock of a Worker, when nothing may be free to read it.
import "../../sys/thread/worker_descriptors.ts";

export {
  blockFlock,
  blockFlockFd,
  type BlockOptions,
  type DescriptorOptions,
  type FlockFdOptions,
  type FlockHandle,
  type FlockOptions,
  type LockMode,
  tryFlock,
  tryFlockFd,
  unlockFlockFd,
} from "./flock.ts";
export type { HeldLock } from "../held_lock.ts";
export {
  type OpenedLockFile,
  openLockFile,
  type OpenLockFileOptions,
  probeLockFile,
} from "../lock_file.ts";
export type { LockFileOptions } from "../lock_attempt.ts";
export { type OwnHolder, SelfDeadlockError } from "../self_deadlock_error.ts";
export type { FileStat, FileType } from "../../sys/file.ts";
export {
  LockError,
  SyscallError,
  type SyscallErrorInit,
} from "../../sys/error.ts";
export { errnoName } from "../../sys/errno.ts";
