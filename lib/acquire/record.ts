/**
 * Taking record locks, and flock with fcntl, with a deadline.
 *
 * @module
 */

import {
  rejectUnsafeBothLocks,
  rejectUnsafeRecordLocks,
} from "../fs/record_guard.ts";
import { checkOptions } from "../lock/check.ts";
import { type LockPath, type PathLike, toLockPath } from "../lock/lock_path.ts";
import { BothLockAttempt, type BothLockHandle } from "../lock/both_lock.ts";
import type { LockMode } from "../lock/flock/flock.ts";
import type { OpenedLockFile } from "../lock/lock_file.ts";
import type { LockAttemptOptions } from "../lock/lock_attempt.ts";
import type { ByteSpan } from "../lock/record/byte_span.ts";
import {
  RecordLockAttempt,
  type RecordLockTarget,
} from "../lock/record/record_lock_attempt.ts";
import type { RecordLockHandle } from "../lock/record/record_lock_handle.ts";
import type { WaitableAttempt } from "../wait/lock_wake.ts";
import {
  type LockFileChecks,
  type LockWaitOptions,
  WaitBudget,
} from "./budget.ts";

/** Which record lock is taken and what is checked before. */
export interface CheckedRecordLockOptions
  extends RecordLockTarget, LockFileChecks {}

/** How {@linkcode acquireRecordLock} takes a lock and waits for it. */
export interface AcquireRecordLockOptions
  extends RecordLockTarget, LockWaitOptions {}

/** How both locks are taken, without a wait. */
export interface TryBothOptions extends LockFileChecks {
  /** Shared or exclusive; exclusive unless set. */
  mode?: LockMode | undefined;
}

/** How {@linkcode acquireBothLocks} takes the locks and waits for them. */
export interface AcquireBothOptions extends TryBothOptions, LockWaitOptions {}

type RecordAttemptOptions =
  & CheckedRecordLockOptions
  & Pick<LockAttemptOptions, "pinned">;

/** An attempt at a record lock, where such locks can be relied on. */
export function recordLockAttempt(
  path: LockPath,
  options: RecordAttemptOptions,
): RecordLockAttempt {
  checkOptions(options);
  const { kind = "ofd", allowRemote = false } = options;
  return new RecordLockAttempt(path, {
    ...options,
    checkFd: allowRemote
      ? undefined
      : (fd, path) => rejectUnsafeRecordLocks(fd, path, kind),
  });
}

/** A record lock on its way to being taken, and what is known in its way. */
interface WaitableRecordLock
  extends WaitableAttempt<RecordLockHandle>, Disposable {
  readonly file: OpenedLockFile;
  readonly span: ByteSpan;
}

/** An attempt at a record lock that says who and what keeps it waiting. */
export function waitableRecordLock(
  path: LockPath,
  options: RecordAttemptOptions,
): WaitableRecordLock {
  const attempt = recordLockAttempt(path, options);
  const { span, isReleasedSilently } = attempt;
  const { mode = "exclusive" } = options;
  return {
    get file() {
      return attempt.file;
    },
    get fd() {
      return attempt.fd;
    },
    span,
    isReleasedSilently,
    conflict: { types: ["POSIX", "OFDLCK"], mode, span },
    try: () => attempt.try(),
    park: () => attempt.park(),
    sleep: async (options) => {
      try {
        return attempt.sleep(options);
      } catch (error) {
        const { explainDeadlock } = await import("./record_deadlock_error.ts");
        throw explainDeadlock(error, path, { span, mode });
      }
    },
    [Symbol.dispose]: () => attempt[Symbol.dispose](),
  };
}

/** An attempt at both locks, where they are two. */
export function bothLockAttempt(
  path: PathLike | LockPath,
  options: TryBothOptions & Pick<LockAttemptOptions, "pinned">,
): BothLockAttempt {
  checkOptions(options);
  const { mode = "exclusive", createParents, allowRemote = false, pinned } =
    options;
  return new BothLockAttempt(path, mode, {
    createParents,
    pinned,
    checkFd: (fd, path) => rejectUnsafeBothLocks(fd, path, allowRemote),
  });
}

/**
 * Takes a byte-range lock on a file, waiting until it is free, the time is up
 * or the signal aborts. Other work of this process goes on meanwhile.
 *
 * OFD locks are the default; see `tryRecordLock` for the traps of POSIX locks.
 * The kernel doesn't see such a wait as part of a ring: two processes that
 * wait for each other this way go on until their deadlines. `blockRecordLock`
 * of a POSIX lock is refused instead.
 *
 * Permissions: `--allow-ffi`. See fcntl(2), F_GETLK(2const).
 *
 * @param path The file; it is created if need be.
 * @param options `range`, `kind`, `mode`, checks, `timeoutMs`, `signal` and
 * `onWait`.
 * @returns The held lock; `using` releases it at the end of the block.
 * @throws {LockTimeoutError} when it was busy until the deadline; it names
 * those who hold a lock on these bytes.
 * @throws {SelfDeadlockError} when it would wait without end, for an ancestor
 * that waits for this process; see `allowNested`.
 * @throws {UnsupportedFilesystemError} when such locks can't be relied on
 * there.
 * @throws {SyscallError} when the file can't be opened or locked.
 * @throws {RangeError} when there is no such range, or `timeoutMs` is negative
 * or not a number.
 * @throws `signal.reason` when the signal aborts.
 *
 * @example
 * ```ts
 * import { acquireRecordLock } from "@holdfast/holdfast/record-lock";
 *
 * using lock = await acquireRecordLock("/tmp/holdfast-example.db", {
 *   range: { startByte: 100n, lengthBytes: 10n },
 *   timeoutMs: 5000,
 * });
 * console.log(`holding bytes ${lock.startByte}-${lock.endByte}`);
 * ```
 */
export async function acquireRecordLock(
  path: PathLike,
  options: AcquireRecordLockOptions = {},
): Promise<RecordLockHandle> {
  const file = toLockPath(path);
  using attempt = waitableRecordLock(file, options);
  return await new WaitBudget(options).acquire(file, attempt);
}

/** `tryAcquire` of a record lock. */
export function tryCheckedRecordLock(
  path: PathLike,
  options: CheckedRecordLockOptions,
): RecordLockHandle | undefined {
  using attempt = recordLockAttempt(toLockPath(path), options);
  return attempt.try();
}

/** `tryAcquire` of both locks. */
export function tryBothLocks(
  path: PathLike,
  options: TryBothOptions,
): BothLockHandle | undefined {
  using attempt = bothLockAttempt(path, options);
  return attempt.try();
}

/**
 * Takes flock and an OFD lock on all bytes of one file, for programs that use
 * either: both or neither, the flock first, and neither held while the other
 * is waited for. They are released in reverse.
 *
 * Permissions: `--allow-ffi`. See flock(2), fcntl(2).
 *
 * @param path The file; it is created if need be.
 * @param options `mode`, checks, `timeoutMs`, `signal` and `onWait`.
 * @returns The held locks; `using` releases them at the end of the block.
 * @throws {LockTimeoutError} when one was busy until the deadline; it names
 * the holders.
 * @throws {SelfDeadlockError} when it would wait without end, for an ancestor
 * that waits for this process; see `allowNested`.
 * @throws {UnsupportedFilesystemError} on NFS, where the two are one lock, and
 * on other remote filesystems unless `allowRemote` is set.
 * @throws {SyscallError} when the file can't be opened or locked.
 * @throws {RangeError} when `timeoutMs` is negative or not a number.
 * @throws `signal.reason` when the signal aborts.
 *
 * @example
 * ```ts
 * import { acquireBothLocks } from "@holdfast/holdfast/record-lock";
 *
 * using lock = await acquireBothLocks("/tmp/holdfast-example.pid");
 * console.log(`holding ${lock.path}`);
 * ```
 */
export async function acquireBothLocks(
  path: PathLike,
  options: AcquireBothOptions = {},
): Promise<BothLockHandle> {
  const file = toLockPath(path);
  using attempt = bothLockAttempt(file, options);
  return await new WaitBudget(options).acquire(file, attempt);
}
