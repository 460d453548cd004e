/**
 * Byte-range locks by fcntl(2) on a descriptor: the bare commands.
 *
 * POSIX locks belong to the process: two descriptors of one process never
 * exclude each other, and closing *any* descriptor of the file drops them all.
 * Open file description (OFD) locks, from Linux 3.15, belong to the open file
 * description and have neither trap: they are the default everywhere here.
 *
 * @module
 */

import {
  EACCES,
  EAGAIN,
  EBADF,
  EDEADLK,
  EINTR,
  EINVAL,
  ENOLCK,
  EOVERFLOW,
} from "../../sys/errno.ts";
import { SyscallError } from "../../sys/error.ts";
import { withInterruptTimer } from "../../sys/sleep.ts";
import { sleepOrAttempt } from "../../sys/lock/sleep_or_attempt.ts";
import {
  type BlockingLock,
  ofdGetlk,
  ofdSetlk,
  ofdSetlkw,
  parkOfdSetlkw as parkSetlkw,
  posixGetlk,
  posixSetlk,
  posixSetlkw,
  type RecordLockKind,
  type RecordLockRequest,
  type RecordLockType,
  type RecordWhence,
} from "../../sys/lock/record_lock.ts";
import type { ParkedCall } from "../../sys/thread/parked_call.ts";
import {
  checkBigint,
  checkDescriptor,
  checkTimeout,
  checkWord,
} from "../check.ts";
import type { BlockOptions, DescriptorOptions } from "../flock/flock_fd.ts";

export {
  type BlockingLock,
  type ByteRange,
  FLOCK_LAYOUT,
  type RecordLockKind,
  type RecordLockRequest,
  type RecordLockType,
  type RecordWhence,
} from "../../sys/lock/record_lock.ts";

/* The kernel's commands by kind. */
const COMMANDS = {
  posix: { get: posixGetlk, set: posixSetlk, setWait: posixSetlkw },
  ofd: { get: ofdGetlk, set: ofdSetlk, setWait: ofdSetlkw },
} as const;

const TYPES: readonly RecordLockType[] = ["read", "write", "unlock"];
const WHENCES: readonly RecordWhence[] = ["set", "current", "end"];

function check(fd: number, request: RecordLockRequest): void {
  checkDescriptor(fd);
  const { type, startByte, lengthBytes, whence } = request;
  checkWord(type, TYPES, "type");
  if (whence !== undefined) checkWord(whence, WHENCES, "whence");
  if (startByte !== undefined) checkOffset(startByte, "startByte");
  if (lengthBytes !== undefined) checkOffset(lengthBytes, "lengthBytes");
}

/** A typed array would silently keep the lower 64 bits. */
function checkOffset(value: bigint, name: string): void {
  checkBigint(value, name);
  if (BigInt.asIntN(64, value) !== value) {
    throw new RangeError(`${name} must fit a signed 64-bit offset`);
  }
}

/**
 * Says which lock is in the way of another.
 *
 * Locks of the asker itself are never in its way: of this process for `posix`,
 * of this open file description for `ofd`. Needs no access mode; nothing is
 * locked.
 */
function getLock(
  kind: RecordLockKind,
  fd: number,
  request: RecordLockRequest,
): BlockingLock | undefined {
  check(fd, request);
  const found = COMMANDS[kind].get(fd, request);
  if (typeof found !== "number") return found;
  throw recordLockError(fd, request, undefined, -found);
}

function setLock(
  kind: RecordLockKind,
  fd: number,
  request: RecordLockRequest,
  { path }: DescriptorOptions,
): boolean {
  check(fd, request);
  const result = COMMANDS[kind].set(fd, request);
  if (result >= 0) return true;
  // Which of the two says "held" is up to the filesystem; see fcntl(2).
  if (result === -EAGAIN || result === -EACCES) return false;
  throw recordLockError(fd, request, path, -result);
}

function setLockWait(
  kind: RecordLockKind,
  fd: number,
  request: RecordLockRequest,
  options: BlockOptions & DescriptorOptions,
): boolean {
  const { timeoutMs = Infinity, onTick, tickMs, path } = options;
  check(fd, request);
  checkTimeout(timeoutMs);
  const result = withInterruptTimer(
    sleepOrAttempt(
      fd,
      () => COMMANDS[kind].setWait(fd, request),
      () => COMMANDS[kind].set(fd, request),
    ),
    { timeoutMs, onTick, tickMs },
  );
  if (result === -EINTR) return false;
  if (result < 0) throw recordLockError(fd, request, path, -result);
  return true;
}

/**
 * F_OFD_SETLKW on a thread of its own, while the event loop goes on. The
 * kernel looks for no rings among OFD locks, so whatever refuses it refuses
 * {@linkcode fOfdSetlk} too, which says why.
 *
 * @param fd An open descriptor, for reading or writing as the type needs it.
 * @param request The range and what to do with it.
 * @returns The waiting call; `undefined` when it can't be parked.
 */
export function parkOfdSetlkw(
  fd: number,
  request: RecordLockRequest,
): ParkedCall | undefined {
  check(fd, request);
  return parkSetlkw(fd, request);
}

function recordLockError(
  fd: number,
  request: RecordLockRequest,
  path: string | undefined,
  errno: number,
): SyscallError {
  const action = request.type === "unlock" ? "unlock" : "lock";
  const target = path === undefined ? ` file descriptor ${fd}` : "";
  return new SyscallError(`${action} a range of${target}`, {
    syscall: "fcntl",
    errno,
    path,
    advice: recordLockAdvice(request.type, errno),
  });
}

function recordLockAdvice(
  type: RecordLockType,
  errno: number,
): string | undefined {
  switch (errno) {
    case EBADF:
      return type === "unlock"
        ? "the descriptor isn't open"
        : `a ${type} lock needs a file opened for ` +
          (type === "read" ? "reading" : "writing");
    case EINVAL:
      return "the range starts before the file, or the filesystem has no " +
        "record locks, or the kernel (before Linux 3.15) no OFD locks";
    case EOVERFLOW:
      return "the range ends beyond the largest possible offset";
    case EDEADLK:
      return "its holder waits for a lock of this process; " +
        "release that one and try again";
    case ENOLCK:
      return "the kernel or the file server is out of locks, " +
        "or the server runs no lock service";
    default:
      return undefined;
  }
}

/**
 * F_GETLK: the first POSIX or OFD lock in the way of a POSIX lock.
 *
 * Permissions: `--allow-ffi`. See fcntl(2), F_GETLK(2const).
 *
 * @param fd An open descriptor.
 * @param request The lock that would be asked for; `unlock` is refused.
 * @returns The lock in the way; `undefined` when it would be granted.
 * @throws {SyscallError} when the kernel can't tell.
 */
export function fGetlk(
  fd: number,
  request: RecordLockRequest,
): BlockingLock | undefined {
  return getLock("posix", fd, request);
}

/**
 * F_SETLK: takes, converts or releases a POSIX lock without waiting.
 *
 * Permissions: `--allow-ffi`. See fcntl(2), F_GETLK(2const).
 *
 * @param fd An open descriptor, for reading or writing as the type needs it.
 * @param request The range and what to do with it.
 * @param options The file's name for errors.
 * @returns Whether it was done; `false` when another holds a lock in the way.
 * @throws {SyscallError} when the kernel can't do it at all.
 */
export function fSetlk(
  fd: number,
  request: RecordLockRequest,
  options: DescriptorOptions = {},
): boolean {
  return setLock("posix", fd, request, options);
}

/**
 * F_SETLKW: takes or converts a POSIX lock, asleep in the kernel until it is
 * free. The whole thread sleeps, with its event loop.
 *
 * Permissions: `--allow-ffi`. See fcntl(2), F_GETLK(2const).
 *
 * @param fd An open descriptor, for reading or writing as the type needs it.
 * @param request The range and what to do with it.
 * @param options When to give up, and the file's name for errors.
 * @returns Whether it was done; `false` only after `timeoutMs`.
 * @throws {SyscallError} when the kernel can't do it; EDEADLK when its holder
 * waits for this process.
 */
export function fSetlkw(
  fd: number,
  request: RecordLockRequest,
  options: BlockOptions & DescriptorOptions = {},
): boolean {
  return setLockWait("posix", fd, request, options);
}

/**
 * F_OFD_GETLK: the first lock in the way of an OFD lock. POSIX locks of this
 * very process are in its way too.
 *
 * Permissions, parameters and errors as for {@linkcode fGetlk}.
 *
 * @param fd An open descriptor.
 * @param request The lock that would be asked for; `unlock` is refused.
 * @returns The lock in the way; `undefined` when it would be granted.
 */
export function fOfdGetlk(
  fd: number,
  request: RecordLockRequest,
): BlockingLock | undefined {
  return getLock("ofd", fd, request);
}

/**
 * F_OFD_SETLK: takes, converts or releases an OFD lock without waiting.
 *
 * Permissions, parameters and errors as for {@linkcode fSetlk}.
 *
 * @param fd An open descriptor, for reading or writing as the type needs it.
 * @param request The range and what to do with it.
 * @param options The file's name for errors.
 * @returns Whether it was done; `false` when another holds a lock in the way.
 */
export function fOfdSetlk(
  fd: number,
  request: RecordLockRequest,
  options: DescriptorOptions = {},
): boolean {
  return setLock("ofd", fd, request, options);
}

/**
 * F_OFD_SETLKW: takes or converts an OFD lock, asleep in the kernel until it
 * is free. The kernel doesn't look for rings of waiters among OFD locks.
 *
 * Permissions, parameters and errors as for {@linkcode fSetlkw}.
 *
 * @param fd An open descriptor, for reading or writing as the type needs it.
 * @param request The range and what to do with it.
 * @param options When to give up, and the file's name for errors.
 * @returns Whether it was done; `false` only after `timeoutMs`.
 */
export function fOfdSetlkw(
  fd: number,
  request: RecordLockRequest,
  options: BlockOptions & DescriptorOptions = {},
): boolean {
  return setLockWait("ofd", fd, request, options);
}

/** The commands of one kind under one name each. */
export interface RecordLockCommands {
  /** F_GETLK or F_OFD_GETLK. */
  get: typeof fGetlk;
  /** F_SETLK or F_OFD_SETLK. */
  set: typeof fSetlk;
  /** F_SETLKW or F_OFD_SETLKW. */
  setWait: typeof fSetlkw;
}

/** The commands by kind. */
export const RECORD_LOCK_COMMANDS: Readonly<
  Record<RecordLockKind, RecordLockCommands>
> = {
  posix: { get: fGetlk, set: fSetlk, setWait: fSetlkw },
  ofd: { get: fOfdGetlk, set: fOfdSetlk, setWait: fOfdSetlkw },
};
