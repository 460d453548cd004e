/**
 * Parts of a path, and what a relative one starts from. Loading a path package
 * for these would cost a lock's hot path more than the lock itself.
 *
 * @module
 */

import { decodePath, encodePath } from "../proc/path_text.ts";
import { callLibc } from "./call.ts";
import { SyscallError } from "./error.ts";
import {
  closeFile,
  type FileStat,
  isSameFile,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  openFile,
  statFd,
  statPath,
} from "./file.ts";
import { libc } from "./libc.ts";
import { hasFfi } from "./process/environment.ts";

/**
 * The directory part of a path, as dirname(3) gives it: all before the last
 * component, `.` for a bare name.
 */
export function dirname(path: string): string {
  const trimmed = path.replace(/(?<=.)\/+$/, "");
  const slash = trimmed.lastIndexOf("/");
  if (slash < 0) return ".";
  return trimmed.slice(0, slash).replace(/\/+$/, "") || "/";
}

/**
 * A path that means the same file after a change of the working directory. An
 * empty one stays empty, and means no file.
 *
 * Where the working directory can't be named from the root (an ancestor may
 * not be searched, the name is too long, it is no longer mounted there) it is
 * kept open until the process ends, once, and named by that descriptor.
 *
 * Permissions: none as a rule, `--allow-ffi` for such a directory and for one
 * whose name is not UTF-8.
 *
 * @throws {SyscallError} when there is no working directory.
 */
export function absolutePath(path: string): string {
  if (path.startsWith("/") || path === "") return path;
  const directory = nameOfWorkingDirectory();
  const absolute = directory?.endsWith("/")
    ? directory + path
    : `${directory}/${path}`;
  if (directory !== undefined && fits(absolute) && isHere(directory)) {
    return absolute;
  }
  return `${heldWorkingDirectory()}/${path}`;
}

/** PATH_MAX counts the NUL. */
function fits(path: string): boolean {
  return path.length < 4096 / 3 || encodePath(path).length < 4096;
}

/* What getcwd(3) says of a directory that is no longer below the root. */
function nameOfWorkingDirectory(): string | undefined {
  try {
    const text = Deno.cwd();
    if (!text.includes("\ufffd")) return text;
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
  }
  const buffer = new Uint8Array(4096);
  const result = callLibc(() => libc.getcwd(buffer, 4096n) === null ? -1 : 0);
  return result < 0
    ? undefined
    : decodePath(buffer.subarray(0, buffer.indexOf(0)));
}

/** Whether a path leads to the working directory. */
function isHere(directory: string): boolean {
  // Only a lock without libc: what it then can't open, it can't open here.
  if (!hasFfi()) return true;
  try {
    const there = statPath(directory);
    const here = statPath(".");
    return there !== undefined && here !== undefined && isSameFile(there, here);
  } catch (error) {
    if (error instanceof SyscallError) return false;
    throw error;
  }
}

const heldDirectories: { fd: number; stat: FileStat }[] = [];

function heldWorkingDirectory(): string {
  const fd = openFile(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) {
    throw new SyscallError("find the working directory", {
      syscall: "open",
      errno: -fd,
      path: ".",
      advice: "it has been removed or is out of reach, give an absolute path",
    });
  }
  const stat = statFd(fd);
  const known = heldDirectories.find((held) => isSameFile(held.stat, stat));
  if (known === undefined) heldDirectories.push({ fd, stat });
  else closeFile(fd);
  return `/proc/self/fd/${known?.fd ?? fd}`;
}
