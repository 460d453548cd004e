/**
 * Following symbolic links to the file behind them, but no link that somebody
 * else has put into a directory open to everyone.
 *
 * @module
 */

import { quotePath } from "../proc/printable.ts";
import { ELOOP, ENOENT } from "../sys/errno.ts";
import { LockError, SyscallError } from "../sys/error.ts";
import {
  closeFile,
  type FileStat,
  isOnProc,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  statFd,
} from "../sys/file.ts";
import { currentUid } from "../sys/process/environment.ts";
import { dirname } from "../sys/path_parts.ts";
import { AT_FDCWD, openAt, readLinkOf } from "../sys/storage/names.ts";
import type { LockPath } from "./lock_path.ts";

/** MAXSYMLINKS of the kernel. */
const MAX_LINKS = 40;

/** Where a chain of links ends: a name in an open directory. */
export class LinkEnd implements Disposable {
  readonly #dirFd: number;
  readonly #name: string;

  /** Made by {@linkcode followLinks}; it owns the descriptor from then on. */
  constructor(dirFd: number, name: string) {
    this.#dirFd = dirFd;
    this.#name = name;
  }

  /**
   * Opens what is there, but no symbolic link that has come there since; gives
   * the descriptor, or minus the error number.
   */
  open(flags: number): number {
    // The links in /proc/PID/fd lead to files and not to their names.
    const follow = isOnProc(this.#dirFd) ? 0 : O_NOFOLLOW;
    return openAt(this.#dirFd, this.#name, flags | follow, 0o666);
  }

  /** Closes the directory. */
  [Symbol.dispose](): void {
    if (this.#dirFd >= 0) closeFile(this.#dirFd);
  }
}

/**
 * Follows a path's last component, should it be a symbolic link, and whatever
 * links that leads to: each is judged by what is open, so that none can take
 * its place in between.
 *
 * A link in a sticky directory that others can write to is followed only if it
 * is this user's or the directory's owner's, whatever fs.protected_symlinks
 * says; see proc_sys_fs(5).
 *
 * @returns The end, which may not exist; or minus an error number.
 * @throws {LockError} when a link is somebody else's.
 */
export function followLinks({ given, absolute }: LockPath): LinkEnd | number {
  let dirFd = AT_FDCWD;
  let path = absolute;
  for (let links = 0; links <= MAX_LINKS; links++) {
    const trimmed = path.replace(/(?<=.)\/+$/, "");
    const parentFd = openAt(
      trimmed.startsWith("/") ? AT_FDCWD : dirFd,
      dirname(trimmed),
      O_PATH | O_DIRECTORY | O_CLOEXEC,
    );
    if (dirFd >= 0) closeFile(dirFd);
    if (parentFd < 0) return parentFd;
    dirFd = parentFd;
    const name = trimmed.slice(trimmed.lastIndexOf("/") + 1) || ".";
    let target: string | number | undefined;
    try {
      target = readJudgedLink(dirFd, name, given);
    } catch (error) {
      closeFile(dirFd);
      throw error;
    }
    if (target === undefined) return new LinkEnd(dirFd, name);
    if (typeof target === "number") {
      closeFile(dirFd);
      return target;
    }
    path = target;
  }
  closeFile(dirFd);
  return -ELOOP;
}

/** A link's target; `undefined` when it is none, or minus the error number. */
function readJudgedLink(
  dirFd: number,
  name: string,
  given: string,
): string | number | undefined {
  const fd = openAt(dirFd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (fd === -ENOENT) return undefined;
  if (fd < 0) return fd;
  try {
    const link = statFd(fd);
    if (link.type !== "symlink" || isOnProc(dirFd)) return undefined;
    rejectForeign(link, statFd(dirFd), given);
    return readLinkOf(fd);
  } finally {
    closeFile(fd);
  }
}

const S_ISVTX_AND_S_IWOTH = 0o1002;

function rejectForeign(link: FileStat, parent: FileStat, given: string): void {
  const isShared =
    (parent.permissions & S_ISVTX_AND_S_IWOTH) === S_ISVTX_AND_S_IWOTH;
  const isTrusted = link.uid === parent.uid || link.uid === currentUid();
  if (!isShared || isTrusted) return;
  throw new LockError(
    `Cannot use ${quotePath(given)}: it is a symbolic link that user ` +
      `${link.uid} has put into a directory open to everyone; ` +
      "remove the link or choose a directory of your own",
  );
}

/**
 * Opens a directory, following symbolic links as {@linkcode followLinks} does.
 *
 * @param flags `O_` flags besides O_DIRECTORY.
 * @returns The descriptor, or minus the error number.
 * @throws {LockError} when a link is somebody else's.
 */
export function openDirectory(path: LockPath, flags: number): number {
  const end = followLinks(path);
  if (typeof end === "number") return end;
  using _end = end;
  return end.open(flags | O_DIRECTORY);
}

/**
 * Makes sure that a directory isn't behind a symbolic link of somebody else,
 * if it is there at all.
 *
 * @throws {LockError} when it is.
 * @throws {SyscallError} when it can't be opened.
 */
export function rejectForeignDirectory(path: LockPath): void {
  const fd = openDirectory(path, O_PATH | O_CLOEXEC);
  if (fd >= 0) closeFile(fd);
  else if (fd !== -ENOENT) {
    throw new SyscallError("use directory", {
      syscall: "open",
      errno: -fd,
      path: path.given,
    });
  }
}
