/**
 * Names of files: opened in a directory that is open, made, exchanged and
 * removed; and what symbolic links say.
 *
 * What gives a number gives 0 or a descriptor, or minus the error number.
 *
 * @module
 */

import { decodePath } from "../../proc/path_text.ts";
import { callLibc, cString } from "../call.ts";
import { type FileStat, noteOpened, statPath } from "../file.ts";
import { libc } from "../libc.ts";

/** Stands for the working directory in place of an open one. */
export const AT_FDCWD = -100;

/**
 * openat(2).
 *
 * @param mode Permission bits of a created file, before the umask.
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

/**
 * What a path refers to, asking no server and mounting nothing.
 *
 * @param options `followSymlink: false` examines a final symbolic link itself.
 * @returns The facts, or `undefined` when nothing has that name or it can't be
 * looked up.
 */
export function statIfAny(
  path: string,
  options: { followSymlink?: boolean } = {},
): FileStat | undefined {
  try {
    return statPath(path, { ...options, cached: true });
  } catch {
    // A path with a NUL, or through what this user may not enter.
    return undefined;
  }
}

const encoder = new TextEncoder();
const shortName = new Uint8Array(24);

/**
 * {@linkcode openAt} for an entry whose name is a number: for those who open
 * thousands of them, without bytes that are made anew for each.
 */
export function openEntryAt(
  dirFd: number,
  name: string,
  flags: number,
): number {
  const { written } = encoder.encodeInto(name, shortName);
  shortName[written] = 0;
  return noteOpened(callLibc(() => libc.openat(dirFd, shortName, flags, 0)));
}

/** unlinkat(2) of a file. */
export function unlinkAt(dirFd: number, name: string): number {
  const bytes = cString(name);
  return callLibc(() => libc.unlinkat(dirFd, bytes, 0));
}

/** renameat(2) within a directory. */
export function renameAt(dirFd: number, from: string, to: string): number {
  return renameWith(0, dirFd, from, to);
}

const RENAME_EXCHANGE = 2;

/**
 * renameat2(2) that gives two files each other's names, in one step; EINVAL
 * where the filesystem can't do it.
 */
export function exchangeAt(dirFd: number, one: string, other: string): number {
  return renameWith(RENAME_EXCHANGE, dirFd, one, other);
}

/** rename(2): replaces a file that has the new name. */
export function renamePath(from: string, to: string): number {
  return renameWith(0, AT_FDCWD, from, to);
}

function renameWith(
  flags: number,
  dirFd: number,
  from: string,
  to: string,
): number {
  const fromName = cString(from);
  const toName = cString(to);
  return callLibc(() => libc.renameat2(dirFd, fromName, dirFd, toName, flags));
}

/**
 * mkdir(2).
 *
 * @param mode Permission bits, before the umask.
 */
export function makeDirectory(path: string, mode: number): number {
  const name = cString(path);
  return callLibc(() => libc.mkdir(name, mode));
}

/** rmdir(2). */
export function removeDirectory(path: string): number {
  const name = cString(path);
  return callLibc(() => libc.rmdir(name));
}

/* Bits of access(2): 4 to read, 2 to write, 1 to enter a directory. */
const WANTED = { "read and write": 6, "write and enter": 3 } as const;

/** Whether this process may do something with a file, by access(2). */
export function checkAccess(path: string, wanted: keyof typeof WANTED): number {
  const name = cString(path);
  return callLibc(() => libc.access(name, WANTED[wanted]));
}

/* PATH_MAX; decoded before anything else can run. */
const linkBuffer = new Uint8Array(4096);
const linkSize = BigInt(linkBuffer.length);

/**
 * The target of a symbolic link, such as /proc/PID/fd/N.
 *
 * @returns The target, or `undefined` when there is no such link.
 */
export function readLink(path: string): string | undefined {
  const name = cString(path);
  const length = callLibc(() => libc.readlink(name, linkBuffer, linkSize));
  return length < 0 ? undefined : decodePath(linkBuffer.subarray(0, length));
}

/**
 * The target of a symbolic link that is open itself, by O_PATH and O_NOFOLLOW;
 * or minus the error number.
 */
export function readLinkOf(fd: number): string | number {
  const empty = cString("");
  const length = callLibc(() =>
    libc.readlinkat(fd, empty, linkBuffer, linkSize)
  );
  return length < 0 ? length : decodePath(linkBuffer.subarray(0, length));
}

/**
 * The absolute path with every symbolic link resolved, by realpath(3).
 *
 * @returns The path, or `undefined` when some part of it can't be resolved.
 */
export function realPath(path: string): string | undefined {
  // PATH_MAX bytes are what realpath(3) may write.
  const buffer = new Uint8Array(4096);
  if (libc.realpath(cString(path), buffer) === null) return undefined;
  return decodePath(buffer.subarray(0, buffer.indexOf(0)));
}
