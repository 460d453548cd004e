/**
 * Locks on ranges of bytes: one function for each command of fcntl(2). What
 * gives a number gives 0, or minus the error number.
 *
 * @module
 */

import { callLibc, callLibcOnce } from "../call.ts";
import { libc } from "../libc.ts";
import { type ParkedCall, parkLockCall } from "../thread/parked_call.ts";

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

/* include/uapi/asm-generic/fcntl.h */
const F_GETLK = 5;
const F_SETLK = 6;
const F_SETLKW = 7;
const F_OFD_GETLK = 36;
const F_OFD_SETLK = 37;
const F_OFD_SETLKW = 38;

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
  const { type, startByte = 0n, lengthBytes = 0n, whence = "set" } = request;
  int16[0] = TYPES[type];
  int16[1] = WHENCES[whence];
  int64[1] = startByte;
  int64[2] = lengthBytes;
  // OFD commands refuse any other pid.
  int32[6] = 0;
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

type Answer = BlockingLock | undefined | number;

function getLock(
  command: number,
  fd: number,
  request: RecordLockRequest,
): Answer {
  encode(request);
  const result = callLibc(() => libc.fcntl(fd, command, struct));
  return result < 0 ? result : decode();
}

function setLock(
  command: number,
  fd: number,
  request: RecordLockRequest,
  call: typeof callLibc = callLibc,
): number {
  encode(request);
  return call(() => libc.fcntl(fd, command, struct));
}

/** F_GETLK: what is in the way of a lock of this process. */
export function posixGetlk(fd: number, request: RecordLockRequest): Answer {
  return getLock(F_GETLK, fd, request);
}

/** F_SETLK: EAGAIN or EACCES while another is in the way. */
export function posixSetlk(fd: number, request: RecordLockRequest): number {
  return setLock(F_SETLK, fd, request);
}

/** F_SETLKW: this thread sleeps until it is done; EINTR after a signal. */
export function posixSetlkw(fd: number, request: RecordLockRequest): number {
  return setLock(F_SETLKW, fd, request, callLibcOnce);
}

/** F_OFD_GETLK: what is in the way of a lock of the open file description. */
export function ofdGetlk(fd: number, request: RecordLockRequest): Answer {
  return getLock(F_OFD_GETLK, fd, request);
}

/** F_OFD_SETLK: EAGAIN or EACCES while another is in the way. */
export function ofdSetlk(fd: number, request: RecordLockRequest): number {
  return setLock(F_OFD_SETLK, fd, request);
}

/** F_OFD_SETLKW: this thread sleeps until it is done; EINTR after a signal. */
export function ofdSetlkw(fd: number, request: RecordLockRequest): number {
  return setLock(F_OFD_SETLKW, fd, request, callLibcOnce);
}

/** F_OFD_SETLKW on a thread of its own; see {@linkcode parkLockCall}. */
export function parkOfdSetlkw(
  fd: number,
  request: RecordLockRequest,
): ParkedCall | undefined {
  encode(request);
  return parkLockCall("fcntl", [fd, F_OFD_SETLKW, struct]);
}
