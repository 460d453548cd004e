/**
 * Files by a name in an open directory: whatever is renamed or replaced by a
 * symbolic link meanwhile, the directory stays the one that was opened.
 *
 * @module
 */

import { callLibc, cString } from "../call.ts";
import { EMFILE, ENFILE, ENOMEM } from "../errno.ts";
import { SyscallError } from "../error.ts";
import {
  closeFile,
  type FileStat,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  O_RDONLY,
  openFile,
  readLink,
  realPath,
  statAt,
  statFd,
} from "../file.ts";
import { libc } from "../libc.ts";
import { openAt } from "./at.ts";
import { sync } from "./content.ts";

/** unlinkat(2) of a file; gives 0, or minus the error number. */
export function unlinkAt(dirFd: number, name: string): number {
  const bytes = cString(name);
  return callLibc(() => libc.unlinkat(dirFd, bytes, 0));
}

/** renameat(2) within a directory; gives 0, or minus the error number. */
export function renameAt(dirFd: number, from: string, to: string): number {
  return renameWith(0, dirFd, from, to);
}

const RENAME_EXCHANGE = 2;

/**
 * renameat2(2) that gives two files each other's names, in one step; gives 0,
 * or minus the error number: EINVAL where the filesystem can't do it.
 */
export function exchangeAt(dirFd: number, one: string, other: string): number {
  return renameWith(RENAME_EXCHANGE, dirFd, one, other);
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

/** Whether two descriptions are of one file, by st_dev and st_ino. */
export function isSameFile(a: FileStat, b: FileStat): boolean {
  return a.inode === b.inode && a.deviceMajor === b.deviceMajor &&
    a.deviceMinor === b.deviceMinor;
}

/** Whether entries may be made in a directory; 0, or minus the error number. */
export function mayWriteDirectory(path: string): number {
  const W_OK_AND_X_OK = 3;
  const name = cString(path);
  return callLibc(() => libc.access(name, W_OK_AND_X_OK));
}

/** Where an open file has its name: an open directory, and the name in it. */
export class FilePlace implements Disposable {
  /** The directory, by a descriptor that only stands for it. */
  readonly dirFd: number;
  /** The name in it. */
  readonly name: string;
  /** The directory's path when it was opened, with a slash at the end. */
  readonly directory: string;

  /** Made by {@linkcode findPlace}; it owns the descriptor from then on. */
  constructor(dirFd: number, directory: string, name: string) {
    this.dirFd = dirFd;
    this.directory = directory;
    this.name = name;
  }

  /** Whether the name still means a file. */
  isNameOf(file: FileStat): boolean {
    const found = statAt(this.dirFd, this.name);
    return typeof found !== "number" && isSameFile(found, file);
  }

  /** Closes the directory. */
  [Symbol.dispose](): void {
    closeFile(this.dirFd);
  }
}

/**
 * Finds the directory and name of an open file, all symbolic links behind it:
 * as the kernel knows them, or as its path is resolved where there is no /proc.
 * Either way the name found is made sure to be that of the open file.
 *
 * @param path The path it was opened by.
 * @returns The place, or `undefined` when the file has no name that is known.
 * @throws {SyscallError} when this process is out of descriptors or memory.
 */
export function findPlace(fd: number, path: string): FilePlace | undefined {
  const stat = statFd(fd);
  return placeAt(readLink(`/proc/self/fd/${fd}`), stat) ??
    placeAt(realPath(path), stat);
}

function placeAt(
  path: string | undefined,
  stat: FileStat,
): FilePlace | undefined {
  if (!path?.startsWith("/")) return undefined;
  const nameStart = path.lastIndexOf("/") + 1;
  const directory = path.slice(0, nameStart);
  const dirFd = openFile(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if ([EMFILE, ENFILE, ENOMEM].includes(-dirFd)) {
    throw new SyscallError("open directory", {
      syscall: "open",
      errno: -dirFd,
      path: directory,
    });
  }
  if (dirFd < 0) return undefined;
  const place = new FilePlace(dirFd, directory, path.slice(nameStart));
  if (place.isNameOf(stat)) return place;
  place[Symbol.dispose]();
  return undefined;
}

/** fsync(2) of the names in a directory; gives 0, or minus the error number. */
export function syncDirectory(dirFd: number): number {
  // A descriptor that only stands for the directory can't be synced.
  const fd = openAt(dirFd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return fd;
  const result = sync(fd);
  closeFile(fd);
  return result;
}
