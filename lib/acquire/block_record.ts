import type { BlockOptions } from "../lock/flock/flock_fd.ts";
import { type PathLike, toLockPath } from "../lock/lock_path.ts";
import type { RecordLockHandle } from "../lock/record/record_lock_handle.ts";
import { type CheckedRecordLockOptions, recordLockAttempt } from "./record.ts";
import { explainDeadlock } from "./record_deadlock_error.ts";

/**
 * Takes a byte-range lock on a file, asleep in the kernel until it is free.
 * The whole thread sleeps, with its event loop.
 *
 * Permissions: `--allow-ffi`. See fcntl(2), F_GETLK(2const).
 *
 * @param path The file; it is created if need be.
 * @param options `range`, `kind`, `mode`, checks, and `timeoutMs` to give up.
 * @returns The held lock, or `undefined` when the time was up.
 * @throws {SelfDeadlockError} when it would sleep without end for a lock that
 * this isolate holds, or waits for; see `allowNested`.
 * @throws {RecordDeadlockError} when the holder of a POSIX lock waits for one
 * of this process; it names the ring.
 * @throws {UnsupportedFilesystemError} when such locks can't be relied on
 * there.
 * @throws {SyscallError} when the file can't be opened or locked.
 * @throws {RangeError} when there is no such range, or `timeoutMs` is negative
 * or not a number.
 *
 * @example
 * ```ts
 * import { blockRecordLock } from "@holdfast/holdfast/record-lock";
 *
 * using lock = blockRecordLock("/tmp/holdfast-example.db", {
 *   timeoutMs: 5000,
 * });
 * if (lock === undefined) console.log("still busy after 5 s");
 * ```
 */
export function blockRecordLock(
  path: PathLike,
  options: CheckedRecordLockOptions & BlockOptions = {},
): RecordLockHandle | undefined {
  const file = toLockPath(path);
  using attempt = recordLockAttempt(file, options);
  try {
    return attempt.block(options);
  } catch (error) {
    const { span } = attempt;
    throw explainDeadlock(error, file, { span, mode: options.mode });
  }
}
