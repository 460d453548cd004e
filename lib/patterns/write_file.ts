/**
 * Writing files so that they are on disk, whole.
 *
 * @module
 */

import { callLibc } from "../sys/call.ts";
import { SyscallError } from "../sys/error.ts";
import { readToEnd } from "../sys/file.ts";
import { libc } from "../sys/libc.ts";

function check(result: number, syscall: string, path: string): void {
  if (result >= 0) return;
  throw new SyscallError("write", { syscall, errno: -result, path });
}

/** All bytes of an open file, from its start. */
export function readFromStart(
  fd: number,
  path: string,
): Uint8Array<ArrayBuffer> {
  check(callLibc(() => libc.lseek(fd, 0n, 0)), "lseek", path);
  const bytes = readToEnd(fd);
  if (typeof bytes !== "number") return bytes;
  throw new SyscallError("read", { syscall: "read", errno: -bytes, path });
}

/** Writes all bytes from an offset on, however many calls that takes. */
export function writeAt(
  fd: number,
  path: string,
  bytes: Uint8Array<ArrayBuffer>,
  offset: bigint,
): void {
  for (let done = 0; done < bytes.length;) {
    const rest = bytes.subarray(done);
    const count = callLibc(() =>
      libc.pwrite(fd, rest, BigInt(rest.length), offset + BigInt(done))
    );
    check(count, "pwrite", path);
    done += count;
  }
}

/** Cuts a file to a length. */
export function truncateFile(fd: number, path: string, length: bigint): void {
  check(callLibc(() => libc.ftruncate(fd, length)), "ftruncate", path);
}

/** Waits until a file, or the names in a directory, are on disk. */
export function syncFile(fd: number, path: string): void {
  check(callLibc(() => libc.fsync(fd)), "fsync", path);
}
