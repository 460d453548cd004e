/**
 * What fcntl(2) is asked about a range of bytes, in its own struct.
 *
 * @module
 */

import { checkBigint, checkWord } from "../check.ts";

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
export const COMMANDS = {
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
export const struct = new Uint8Array(32);
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

/** Writes a request into {@linkcode struct}. */
export function encode(request: RecordLockRequest): void {
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

/** Reads the answer in {@linkcode struct}. */
export function decode(): BlockingLock | undefined {
  if (int16[0] === UNLOCKED) return undefined;
  return {
    type: int16[0] === TYPES.read ? "read" : "write",
    startByte: int64[1]!,
    lengthBytes: int64[2]!,
    pid: int32[6]!,
  };
}
