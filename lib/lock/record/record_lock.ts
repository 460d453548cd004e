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

import { callLibc, callLibcOnce } from "../../sys/call.ts";
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
import { withInterruptTimer } from "../../sys/interrupt_timer.ts";
import { libc } from "../../sys/libc.ts";
import { parkCall, type ParkedCall } from "../../sys/thread/parked_call.ts";
import { checkBigint, checkWord } from "../check.ts";
import type { BlockOptions } from "../flock/flock.ts";

/**
 * `ofd`: held by the open file description. `posix`: held by the process, and
 * dropped when it closes any descriptor of the file.
 */
export type RecordLockKind = "ofd" | "posix";

/** What is locked, or unlocked. */
export type RecordLockType = "read" | "write" | "unlock";

/** Where a range is counted from: the file's start, offset or end. */
export type RecordWhence = "set" | "current" | "end";

/** A range of bytes of a file. */
export interface ByteRange {
  /** First byte, from `whence`; 0 unless set. */
  startByte?: bigint | undefined;
  /**
   * How many bytes. 0, which it is unless set, reaches to the largest possible
   * offset, however the file grows. A negative length locks the bytes before
   * `startByte`.
   */
  lengthBytes?: bigint | undefined;
}

/** What a record lock is asked for. */
export interface RecordLockRequest extends ByteRange {
  /** What to lock, or that to unlock. */
  type: RecordLockType;
  /** Where `startByte` is counted from; `set`, the file's start, unless set. */
  whence?: RecordWhence | undefined;
}

/** A lock in the way, as F_GETLK describes it. */
export interface BlockingLock {
  /** Whether it is shared or exclusive. */
  type: "read" | "write";
  /** First byte. */
  startByte: bigint;
  /** How many bytes; 0 for all to the largest possible offset. */
  lengthBytes: bigint;
  /**
   * The process that holds it: -1 for an OFD lock, 0 for a process that is not
   * visible in this pid namespace; negative or of another host on a network
   * filesystem.
   */
  pid: number;
}

/** Commands of fcntl(2), from include/uapi/asm-generic/fcntl.h. */
const COMMANDS = {
  posix: { get: 5, set: 6, setWait: 7 },
  ofd: { get: 36, set: 37, setWait: 38 },
} as const;

const TYPES: Readonly<Record<RecordLockType, number>> = {
  read: 0,
  write: 1,
  unlock: 2,
};
const UNLOCKED = TYPES.unlock;

const WHENCES: Readonly<Record<RecordWhence, number>> = {
  set: 0,
  current: 1,
  end: 2,
};

/* struct flock on x86-64 and aarch64: s16 l_type at 0, s16 l_whence at 2,
 * s64 l_start at 8, s64 l_len at 16, s32 l_pid at 24, 32 bytes in all. One
 * buffer serves all calls: it is decoded before anything else can run. */
const struct = new Uint8Array(32);
const int16 = new Int16Array(struct.buffer);
const int32 = new Int32Array(struct.buffer);
const int64 = new BigInt64Array(struct.buffer);

/** The offsets and size used for struct flock, which a test holds against C. */
export const FLOCK_LAYOUT = {
  l_type: 0,
  l_whence: 2,
  l_start: 8,
  l_len: 16,
  l_pid: 24,
  size: struct.length,
} as const;

function encode(request: RecordLockRequest): void {
  const { type, startByte = 0n, lengthBytes = 0n, whence } = request;
  // What isn't in the tables would become 0, a read lock.
  if (TYPES[type] === undefined) checkWord(type, Object.keys(TYPES), "type");
  if (whence !== undefined) checkWord(whence, Object.keys(WHENCES), "whence");
  int16[0] = TYPES[type];
  int16[1] = whence === undefined ? 0 : WHENCES[whence];
  int64[1] = checkOffset(startByte, "startByte");
  int64[2] = checkOffset(lengthBytes, "lengthBytes");
  // OFD commands refuse any other pid.
  int32[6] = 0;
}

/** A typed array would silently keep the lower 64 bits. */
function checkOffset(value: bigint, name: string): bigint {
  checkBigint(value, name);
  if (BigInt.asIntN(64, value) !== value) {
    throw new RangeError(`${name} must fit a signed 64-bit offset`);
  }
  return value;
}

function decode(): BlockingLock | undefined {
  if (int16[0] === UNLOCKED) return undefined;
  return {
    type: int16[0] === TYPES.read ? "read" : "write",
    startByte: int64[1]!,
    lengthBytes: int64[2]!,
    pid: int32[6]!,
  };
}

/**
 * Says which lock is in the way of another, by F_GETLK or F_OFD_GETLK.
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
  encode(request);
  const result = callLibc(() => libc.fcntl(fd, COMMANDS[kind].get, struct));
  if (result < 0) throw recordLockError(fd, request, undefined, -result);
  return decode();
}

function setLock(
  kind: RecordLockKind,
  fd: number,
  request: RecordLockRequest,
  path: string | undefined,
): boolean {
  encode(request);
  const command = COMMANDS[kind].set;
  const result = callLibc(() => libc.fcntl(fd, command, struct));
  if (result >= 0) return true;
  // Which of the two says "held" is up to the filesystem; see fcntl(2).
  if (result === -EAGAIN || result === -EACCES) return false;
  throw recordLockError(fd, request, path, -result);
}

function setLockWait(
  kind: RecordLockKind,
  fd: number,
  request: RecordLockRequest,
  options: BlockOptions & { path?: string | undefined },
): boolean {
  const { timeoutMs = Infinity, onTick, tickMs, path } = options;
  const command = COMMANDS[kind].setWait;
  const result = withInterruptTimer(
    () => {
      // A tick may have used the buffer.
      encode(request);
      return callLibcOnce(() => libc.fcntl(fd, command, struct));
    },
    { timeoutMs, onTick, tickMs },
  );
  if (result === -EINTR) return false;
  if (result < 0) throw recordLockError(fd, request, path, -result);
  return true;
}

/**
 * F_OFD_SETLKW on a thread of its own, while the event loop goes on. The kernel
 * looks for no rings among OFD locks, so it is refused for no reason that
 * {@linkcode fOfdSetlk} can't tell.
 *
 * @param fd An open descriptor, for reading or writing as the type needs it.
 * @param request The range and what to do with it.
 * @returns The waiting call; `undefined` when it can't be parked.
 */
export function parkOfdSetlkw(
  fd: number,
  request: RecordLockRequest,
): ParkedCall | undefined {
  encode(request);
  return parkCall("fcntl", fd, COMMANDS.ofd.setWait, struct);
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
 * @param path Names the file in errors.
 * @returns Whether it was done; `false` when another holds a lock in the way.
 * @throws {SyscallError} when the kernel can't do it at all.
 */
export function fSetlk(
  fd: number,
  request: RecordLockRequest,
  path?: string,
): boolean {
  return setLock("posix", fd, request, path);
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
  options: BlockOptions & { path?: string | undefined } = {},
): boolean {
  return setLockWait("posix", fd, request, options);
}

/**
 * F_OFD_GETLK: the first lock in the way of an OFD lock. Asked so, POSIX locks
 * of this very process are in the way too.
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
 * @param path Names the file in errors.
 * @returns Whether it was done; `false` when another holds a lock in the way.
 */
export function fOfdSetlk(
  fd: number,
  request: RecordLockRequest,
  path?: string,
): boolean {
  return setLock("ofd", fd, request, path);
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
  options: BlockOptions & { path?: string | undefined } = {},
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
