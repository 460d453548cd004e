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

export {
  LockError,
  SyscallError,
  type SyscallErrorInit,
} from "./lib/sys/error.ts";
export { errnoName } from "./lib/sys/errno.ts";
export type { FileStat, FileType } from "./lib/sys/file.ts";
export { ProcParseError } from "./lib/proc/error.ts";
export type { MountInfo } from "./lib/proc/mountinfo.ts";
export {
  materialize,
  type OpenedLockFile,
  openLockFile,
  type OpenLockFileOptions,
  probeLockFile,
} from "./lib/lock/lock_file.ts";
export type { HeldLock } from "./lib/lock/held_lock.ts";
export {
  type OwnHolder,
  SelfDeadlockError,
} from "./lib/lock/self_deadlock_error.ts";
export {
  blockFlock,
  blockFlockFd,
  type BlockOptions,
  FlockHandle,
  type FlockOptions,
  type LockMode,
  tryFlock,
  tryFlockFd,
  unlockFlockFd,
} from "./lib/lock/flock/flock.ts";
export {
  formatNeedle,
  type Needle,
  needleFromFd,
  needleFromPath,
} from "./lib/inspect/needle.ts";
export { rejectRemoteFs, UnsupportedFilesystemError } from "./lib/fs/guard.ts";
export {
  formatHolderList,
  type HolderInfo,
  type LockParties,
  NO_HOLDERS_RECORDED,
  readHolders,
  readHoldersForNeedle,
  readLockParties,
  readLockPartiesForNeedles,
} from "./lib/inspect/holder.ts";
export type { HolderSource } from "./lib/inspect/lock_holders.ts";
export type { LockedFile, PathStatus } from "./lib/inspect/locked_path.ts";
export {
  type LockTable,
  readLockTable,
  type TableHolder,
  type TableLock,
  type TableRange,
  type TableWaiter,
} from "./lib/inspect/lock_table.ts";
export {
  type WaitEdge,
  type WaitGraph,
  waitGraph,
  type WaitNode,
} from "./lib/inspect/wait_graph.ts";
export {
  confirmDeadlocks,
  type Deadlock,
  findDeadlocks,
} from "./lib/inspect/deadlock.ts";
export type { ProcessInfo } from "./lib/sys/process/process_info.ts";
export type { ExportProtocol } from "./lib/fs/exported.ts";
export {
  diagnose,
  type Diagnosis,
  type DoctorWarning,
} from "./lib/fs/doctor.ts";
export {
  type JudgeContext,
  judgeFilesystem,
  LOCK_KINDS,
  type LockKind,
  type Trust,
  type TrustEntry,
  type TrustScope,
  type TrustTable,
} from "./lib/fs/verdict.ts";
export type { WaitOptions } from "./lib/wait/attempt_loop.ts";
export type { NestedOptions } from "./lib/acquire/nested.ts";
export {
  acquire,
  type AcquireOptions,
  tryAcquire,
  type TryAcquireOptions,
  type WaitInfo,
  withLock,
} from "./lib/acquire/flock.ts";
export * from "./lib/patterns/mod.ts";
export {
  type BlockingLock,
  type ByteRange,
  fGetlk,
  fOfdGetlk,
  fOfdSetlk,
  fOfdSetlkw,
  fSetlk,
  fSetlkw,
  type RecordLockKind,
  type RecordLockRequest,
  type RecordLockType,
  type RecordWhence,
} from "./lib/lock/record/record_lock.ts";
export {
  type DescriptorOwner,
  LockableFile,
  lockf,
  type LockfCommand,
  type RangeLockOptions,
  readLock,
  readwLock,
  testLock,
  unLock,
  writeLock,
  writewLock,
} from "./lib/lock/record/range_locks.ts";
export type { ByteSpan } from "./lib/lock/record/byte_span.ts";
export {
  RecordLockHandle,
  type RecordLockOptions,
  type RecordLockTarget,
  tryRecordLock,
} from "./lib/lock/record/record_lock_handle.ts";
export { BothLockHandle } from "./lib/lock/both_lock.ts";
export {
  acquireBothLocks,
  type AcquireBothOptions,
  acquireRecordLock,
  type AcquireRecordLockOptions,
  blockRecordLock,
  type CheckedRecordLockOptions,
} from "./lib/acquire/record.ts";
export {
  type DeadlockStep,
  RecordDeadlockError,
} from "./lib/acquire/record_deadlock_error.ts";
export { getLoadAverages } from "./lib/sys/loadavg.ts";
export {
  type LoadMinutes,
  type LoadOptions,
  LoadTimeoutError,
  waitForLoad,
} from "./lib/patterns/load_gate.ts";
export type { Clock } from "./lib/wait/clock.ts";
