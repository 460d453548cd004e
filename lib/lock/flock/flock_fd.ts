/**
 * flock(2) on an open descriptor.
 *
 * @module
 */

import {
  EACCES,
  EAGAIN,
  EBADF,
  EINTR,
  ENOLCK,
  EOPNOTSUPP,
} from "../../sys/errno.ts";
import { SyscallError } from "../../sys/error.ts";
import { withInterruptTimer } from "../../sys/sleep.ts";
import { isCifsFd, sleepOrAttempt } from "../../sys/lock/sleep_or_attempt.ts";
import {
  flockAsleep,
  flockNow,
  type LockMode,
  unflock,
} from "../../sys/lock/flock.ts";
import {
  checkDescriptor,
  checkOptions,
  checkTimeout,
  rejectArgument,
} from "../check.ts";

export type { LockMode } from "../../sys/lock/flock.ts";

/** @throws {TypeError} when a value is no mode. */
export function checkMode(mode: LockMode): void {
  if (mode !== "exclusive" && mode !== "shared") {
    rejectArgument("mode", '"exclusive" or "shared"', mode);
  }
}

/** How a thread that sleeps in the kernel gives up. */
export interface BlockOptions {
  /** Give up after so many milliseconds; never, unless set. */
  timeoutMs?: number | undefined;
  /**
   * Called about every `tickMs` while waiting, such as to show progress;
   * `false` ends that.
   */
  onTick?: (() => unknown) | undefined;
  /** Milliseconds between ticks; 1000 unless set. */
  tickMs?: number | undefined;
  /**
   * Sleep without a deadline even for a lock that this isolate itself holds or
   * waits for; `false` unless set: such a sleep may have no end, and is refused
   * with a `SelfDeadlockError`.
   */
  allowNested?: boolean | undefined;
}

/** What is known of a descriptor besides. */
export interface DescriptorOptions {
  /** Names the file in errors. */
  path?: string | undefined;
}

/** Which flock is taken on a descriptor. */
export interface FlockFdOptions extends DescriptorOptions {
  /** Shared or exclusive; exclusive unless set. */
  mode?: LockMode | undefined;
}

/**
 * flock(2) on a descriptor, without waiting.
 *
 * A lock held through the same description is converted, which is not atomic:
 * it may be lost to another in between.
 *
 * Permissions: `--allow-ffi`. See flock(2).
 *
 * @param fd An open descriptor; it stays open.
 * @param options `mode`, and the file's name for errors.
 * @returns Whether the lock is held now.
 * @throws {SyscallError} when the kernel can't lock it at all.
 */
export function tryFlockFd(fd: number, options: FlockFdOptions = {}): boolean {
  checkDescriptor(fd);
  checkOptions(options);
  const { mode = "exclusive", path } = options;
  checkMode(mode);
  return flockIfFree(fd, mode, path);
}

/** {@linkcode tryFlockFd} of arguments that are known to be right. */
export function flockIfFree(
  fd: number,
  mode: LockMode,
  path?: string,
): boolean {
  const result = flockNow(fd, mode);
  if (result === -EAGAIN) return false;
  // A client of CIFS says EACCES of a lock that is held; elsewhere it is a
  // security module that forbids locking.
  if (result === -EACCES && isCifsFd(fd)) return false;
  if (result < 0) throw flockError(fd, mode, path, -result);
  return true;
}

/**
 * flock(2) on a descriptor, asleep in the kernel until the lock is free. The
 * whole thread sleeps, with its event loop.
 *
 * Permissions: `--allow-ffi`. See flock(2).
 *
 * @param fd An open descriptor; it stays open.
 * @param options `mode`, when to give up and what to do meanwhile.
 * @returns Whether the lock is held now; `false` only after `timeoutMs`.
 * @throws {SyscallError} when the kernel can't lock it at all.
 * @throws {RangeError} when `timeoutMs` is negative or not a number.
 */
export function blockFlockFd(
  fd: number,
  options: FlockFdOptions & BlockOptions = {},
): boolean {
  checkDescriptor(fd);
  checkOptions(options);
  const { mode = "exclusive", timeoutMs = Infinity, onTick, tickMs } = options;
  checkTimeout(timeoutMs);
  checkMode(mode);
  const result = withInterruptTimer(
    sleepOrAttempt(fd, () => flockAsleep(fd, mode), () => flockNow(fd, mode)),
    { timeoutMs, tickMs, onTick },
  );
  if (result === -EINTR) return false;
  if (result < 0) throw flockError(fd, mode, options.path, -result);
  return true;
}

/**
 * Gives up a flock(2) lock of a descriptor, which stays open.
 *
 * Permissions: `--allow-ffi`. See flock(2).
 *
 * @param fd The descriptor.
 * @param options The file's name for errors.
 * @throws {SyscallError} when the descriptor isn't open.
 */
export function unlockFlockFd(
  fd: number,
  { path }: DescriptorOptions = {},
): void {
  checkDescriptor(fd);
  const result = unflock(fd);
  if (result >= 0) return;
  throw new SyscallError(`unlock${path === undefined ? ` ${fd}` : ""}`, {
    syscall: "flock",
    errno: -result,
    path,
  });
}

function flockError(
  fd: number,
  mode: LockMode,
  path: string | undefined,
  errno: number,
): SyscallError {
  const target = path === undefined ? ` file descriptor ${fd}` : "";
  return new SyscallError(`lock${target}`, {
    syscall: "flock",
    errno,
    path,
    advice: flockAdvice(mode, errno),
  });
}

function flockAdvice(mode: LockMode, errno: number): string | undefined {
  switch (errno) {
    case EBADF:
      return mode === "exclusive"
        ? "the descriptor isn't open, or this is NFS, where an exclusive " +
          "lock needs a file that may be written"
        : "the descriptor isn't open";
    case ENOLCK:
      return "the kernel or the file server is out of locks, " +
        "or the server runs no lock service";
    case EOPNOTSUPP:
      return "the filesystem has no flock, choose a local path";
    default:
      return undefined;
  }
}
