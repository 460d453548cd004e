/**
 * Byte-range locks of fcntl(2), OFD and POSIX: as handles, by the calls of
 * fcntl and lockf(3), and together with a flock.
 *
 * ```ts
 * import { acquireRecordLock } from "@holdfast/holdfast/record-lock";
 *
 * using lock = await acquireRecordLock("/tmp/holdfast-example.db", {
 *   range: { startByte: 100n, lengthBytes: 10n },
 *   timeoutMs: 5000,
 * });
 * console.log(`holding bytes ${lock.startByte}-${lock.endByte}`);
 * ```
 *
 * Permissions: `--allow-ffi`.
 *
 * @module
 */

export * from "./loaded.ts";
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
} from "../lock/record/record_lock.ts";
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
} from "../lock/record/range_locks.ts";
export type { ByteSpan } from "../lock/record/byte_span.ts";
export {
  type RecordLockOptions,
  type RecordLockTarget,
  tryRecordLock,
} from "../lock/record/record_lock_attempt.ts";
export type { RecordLockHandle } from "../lock/record/record_lock_handle.ts";
export type { BothLockHandle } from "../lock/both_lock.ts";
export {
  acquireBothLocks,
  type AcquireBothOptions,
  acquireRecordLock,
  type AcquireRecordLockOptions,
  type CheckedRecordLockOptions,
  type TryBothOptions,
} from "./record.ts";
export { blockRecordLock } from "./block_record.ts";
export {
  type DeadlockStep,
  RecordDeadlockError,
} from "./record_deadlock_error.ts";
export type {
  BlockOptions,
  DescriptorOptions,
  LockMode,
} from "../lock/flock/flock.ts";
export type { LockFileOptions } from "../lock/lock_attempt.ts";
export type { HeldLock } from "../lock/held_lock.ts";
export type { WaitOptions } from "../wait/attempt_loop.ts";
export type { HolderInfo } from "../inspect/holder.ts";
export type { HolderSource } from "../inspect/lock_holders.ts";
export type { LockFileChecks, LockWaitOptions, WaitInfo } from "./budget.ts";
export type { NestedOptions } from "./nested.ts";
export { LockError } from "../sys/error.ts";
