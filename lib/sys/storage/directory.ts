/**
 * Files by a name in an open directory: whatever is renamed or replaced by a
 * symbolic link meanwhile, the directory stays the one that was opened.
 *
 * @module
 */

import { EMFILE, ENFILE, ENOMEM } from "../errno.ts";
import { SyscallError } from "../error.ts";
import {
  closeFile,
  type FileStat,
  isSameFile,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  O_RDONLY,
  openFile,
  statAt,
  statFd,
} from "../file.ts";
import { openAt, readLink, realPath } from "./names.ts";
import { sync } from "./content.ts";

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
 * as the kernel knows them, or as its path is resolved where there is no
 * /proc. Either way it is made sure that the name found is that of the open
 * file.
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
