/**
 * Advisory file locks on Linux that a script can trust and explain.
 *
 * ```ts
 * import { acquire } from "@holdfast/holdfast";
 *
 * using lock = await acquire("/tmp/nightly-job.lock", { timeoutMs: 5000 });
 * console.log(`holding ${lock.path}`);
 * ```
 *
 * Every function here that touches a file needs `--allow-ffi` and nothing
 * else. That permission lets a program call any function of any C library: it
 * is as strong as `--allow-all`. Importing this module does nothing by itself.
 *
 * @module
 */

export * from "./lib/acquire/loaded.ts";
export {
  acquire,
  type AcquireOptionsOf,
  type HandleOf,
  type LockKind,
  tryAcquire,
  type TryAcquireOptionsOf,
  withLock,
} from "./lib/acquire/acquire.ts";
export type { AcquireOptions, TryAcquireOptions } from "./lib/acquire/flock.ts";
export {
  acquireAll,
  type AcquireAllOptions,
  type FileMember,
  type GroupMember,
  type GroupOf,
  type LinkMember,
  type MemberOf,
  type MembersOf,
  type RangeMember,
} from "./lib/acquire/group.ts";
export type { LockWaitOptions, WaitInfo } from "./lib/acquire/budget.ts";
export type { NestedOptions } from "./lib/acquire/nested.ts";
export type { WaitOptions } from "./lib/wait/attempt_loop.ts";
export type { FlockHandle, LockMode } from "./lib/lock/flock/flock.ts";
export type { HeldAsyncLock, HeldLock } from "./lib/lock/held_lock.ts";
export type { LockGroup, MixedLockGroup } from "./lib/lock/lock_set.ts";
export {
  LockError,
  SyscallError,
  type SyscallErrorInit,
} from "./lib/sys/error.ts";
export {
  type LockTimeout,
  LockTimeoutError,
} from "./lib/wait/lock_timeout_error.ts";
export {
  type OwnHolder,
  SelfDeadlockError,
} from "./lib/lock/self_deadlock_error.ts";
export { LockCompromisedError } from "./lib/lock/lock_compromised_error.ts";
export { rejectRemoteFs, UnsupportedFilesystemError } from "./lib/fs/guard.ts";
export { materialize } from "./lib/lock/lock_file.ts";
export {
  formatHolderList,
  type HolderInfo,
  NO_HOLDERS_RECORDED,
  readHolders,
  readHoldersForNeedle,
} from "./lib/inspect/holder.ts";
export type { HolderSource } from "./lib/inspect/lock_holders.ts";
export { type Needle, needleFromPath } from "./lib/inspect/needle.ts";
export {
  ProcParseError,
  type ProcParseErrorInit,
  type ProcParseOptions,
} from "./lib/proc/error.ts";
export {
  findMount,
  type MountInfo,
  parseMountinfo,
} from "./lib/proc/mountinfo.ts";
export {
  type DeviceNumber,
  type LockAccess,
  type LockEnforcement,
  type LockType,
  parseProcLocks,
  type ProcLock,
} from "./lib/proc/proc_locks.ts";
