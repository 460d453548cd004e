/**
 * The content of an open file. Everything gives a number: a count or 0, or
 * minus the error number.
 *
 * @module
 */

import { callLibc } from "../call.ts";
import { libc } from "../libc.ts";
import { setLease, setSignal } from "../process/descriptors.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** pwrite(2): writes bytes at an offset, perhaps not all of them. */
export function writeAt(fd: number, bytes: Bytes, offset: bigint): number {
  return callLibc(() => libc.pwrite(fd, bytes, BigInt(bytes.length), offset));
}

/** write(2): where the descriptor stands, or at the end with O_APPEND. */
export function writeNext(fd: number, bytes: Bytes): number {
  return callLibc(() => libc.write(fd, bytes, BigInt(bytes.length)));
}

/**
 * The same until all is written: what may be written in one call arrives as a
 * whole, whoever else writes. Gives 0, or minus the error number.
 */
export function writeAll(fd: number, bytes: Bytes): number {
  for (let done = 0; done < bytes.length;) {
    const count = writeNext(fd, bytes.subarray(done));
    if (count < 0) return count;
    done += count;
  }
  return 0;
}

/** lseek(2) to the start. */
export function rewind(fd: number): void {
  const SEEK_SET = 0;
  libc.lseek(fd, 0n, SEEK_SET);
}

/** Where the descriptor stands: after what was written last. */
export function tell(fd: number): bigint {
  const SEEK_CUR = 1;
  return BigInt(libc.lseek(fd, 0n, SEEK_CUR));
}

/** ftruncate(2). */
export function truncate(fd: number, length: bigint): number {
  return callLibc(() => libc.ftruncate(fd, length));
}

/** fsync(2). */
export function sync(fd: number): number {
  return callLibc(() => libc.fsync(fd));
}

const FALLOC_FL_KEEP_SIZE = 1;

/**
 * fallocate(2): has the filesystem set space aside, so that writing there can't
 * fail for want of it. The size of the file stays.
 */
export function reserve(fd: number, offset: bigint, length: bigint): number {
  return length === 0n
    ? 0
    : callLibc(() => libc.fallocate(fd, FALLOC_FL_KEEP_SIZE, offset, length));
}

const RLIMIT_FSIZE = 1;

/**
 * How long a file this process may write: writing beyond that raises SIGXFSZ,
 * which ends it in the middle of its work. See getrlimit(2).
 */
export function fileSizeLimit(): bigint {
  const limits = new BigUint64Array(2);
  const result = libc.getrlimit(RLIMIT_FSIZE, new Uint8Array(limits.buffer));
  return result === 0 ? limits[0]! : (1n << 64n) - 1n;
}

const SIGURG = 23;

/**
 * Does something while nobody else has the file open, or can open it: a lease
 * keeps them waiting. See "Leases" in fcntl(2).
 *
 * @returns Whether it was done: not while anybody else has it open, nor on a
 * file of another user, nor where the filesystem has no leases.
 */
export function whileAlone(fd: number, action: () => void): boolean {
  // A process that opens it meanwhile is announced by a signal; SIGIO would
  // kill.
  if (setSignal(fd, SIGURG) < 0) return false;
  if (setLease(fd, "write") < 0) return false;
  try {
    action();
  } finally {
    setLease(fd, "none");
  }
  return true;
}
