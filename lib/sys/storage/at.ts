/**
 * Opening by a name in an open directory, and what a symbolic link says.
 *
 * @module
 */

import { decodePath } from "../../proc/path_text.ts";
import { callLibc, cString } from "../call.ts";
import { noteOpened } from "../file.ts";
import { libc } from "../libc.ts";

/** Stands for the working directory in place of an open one. */
export const AT_FDCWD = -100;

/**
 * openat(2).
 *
 * @param mode Permission bits of a created file, before the umask.
 * @returns The descriptor, or minus the error number.
 */
export function openAt(
  dirFd: number,
  name: string,
  flags: number,
  mode = 0,
): number {
  const bytes = cString(name);
  return noteOpened(callLibc(() => libc.openat(dirFd, bytes, flags, mode)));
}

const PROC_SUPER_MAGIC = 0x9fa0;

/** Whether an open file is in /proc, where a link may be more than its text. */
export function isOnProc(fd: number): boolean {
  // struct statfs begins with f_type.
  const buffer = new Uint8Array(256);
  const result = callLibc(() => libc.fstatfs(fd, buffer));
  return result >= 0 &&
    new DataView(buffer.buffer).getUint32(0, true) === PROC_SUPER_MAGIC;
}

/**
 * The target of a symbolic link that is open itself, by O_PATH and O_NOFOLLOW;
 * or minus the error number.
 */
export function readLinkOf(fd: number): string | number {
  const buffer = new Uint8Array(4096);
  const empty = cString("");
  const length = callLibc(() => libc.readlinkat(fd, empty, buffer, 4096n));
  return length < 0 ? length : decodePath(buffer.subarray(0, length));
}
