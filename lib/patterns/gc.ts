/**
 * Removing lock files that nobody needs any more.
 *
 * @module
 */

import { rejectRemoteFs } from "../fs/guard.ts";
import { tryFlockFd } from "../lock/flock/flock.ts";
import { fOfdSetlk } from "../lock/record/record_lock.ts";
import { callLibc, cString } from "../sys/call.ts";
import { EISDIR, ENOENT } from "../sys/errno.ts";
import { SyscallError } from "../sys/error.ts";
import {
  closeFile,
  type FileStat,
  isStillNamed,
  listDirectory,
  O_CLOEXEC,
  O_NOCTTY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDWR,
  openFile,
  statFd,
  statPath,
} from "../sys/file.ts";
import { libc } from "../sys/libc.ts";
import { readHead, stateKind } from "./state_file.ts";

/** Which lock files {@linkcode collectLockFiles} removes. */
export interface CollectOptions {
  /** Remove nothing, only say what would be removed. */
  dryRun?: boolean | undefined;
  /**
   * Leave files alone that were created or written less than so many
   * milliseconds ago. To lock a file doesn't count: it changes no date.
   */
  olderThanMs?: number | undefined;
  /**
   * Whether a name is that of a lock file; unless given, those that end in
   * `.lock` and the queue files of fair turns, `.lock.queue`.
   */
  match?: ((name: string) => boolean) | undefined;
  /** Remove files with content too, which may be data that nobody meant. */
  withContent?: boolean | undefined;
  /** Look into directories below as well; links are never followed. */
  recursive?: boolean | undefined;
  /** Go on even on a network, cluster or FUSE filesystem. */
  allowRemote?: boolean | undefined;
}

/** What has become of one lock file. */
export interface CollectedFile {
  /** The file. */
  path: string;
  /**
   * `removed`, or `would-remove` in a dry run; `held` by somebody, too
   * `recent`, `has-content`, `gone` (removed or replaced by others just then),
   * or `failed`.
   */
  outcome:
    | "removed"
    | "would-remove"
    | "held"
    | "recent"
    | "has-content"
    | "gone"
    | "failed";
  /** Why it failed. */
  error?: SyscallError;
}

const LOCK_FILE_NAME = /\.lock(\.queue)?$/;

/**
 * Removes the lock files of a directory that nobody holds, while others go on
 * taking locks there.
 *
 * Each file is locked first, in every way there is (flock and all bytes by
 * fcntl), then it is made sure that its name still means it, and it is removed
 * while it is locked. Who has opened it meanwhile gets the lock of a file
 * without a name; everybody who takes locks by holdfast then notices, and takes
 * that of the new file. Programs that don't look again, such as flock(1), can
 * end up with a lock that excludes nobody: leave their lock files alone.
 *
 * Only regular files that are empty are removed, or that hold nothing but
 * holdfast's own state; links are neither followed nor removed. A POSIX record
 * lock that this very process holds on such a file is lost, as by any close(2)
 * of it.
 *
 * Permissions: `--allow-ffi`. See unlink(2), flock(2), fcntl_locking(2).
 *
 * @param directory Where the lock files are.
 * @param options Which of them to remove.
 * @returns Every file whose name is that of a lock file, by path.
 * @throws {SyscallError} when the directory can't be read.
 * @throws {UnsupportedFilesystemError} where flock can't be relied on.
 * @throws {RangeError} when `olderThanMs` is negative or not a number.
 *
 * @example
 * ```ts
 * import { collectLockFiles } from "@holdfast/holdfast/patterns";
 *
 * for (const { path, outcome } of collectLockFiles("/tmp", { dryRun: true })) {
 *   console.log(path, outcome);
 * }
 * ```
 */
export function collectLockFiles(
  directory: string,
  options: CollectOptions = {},
): CollectedFile[] {
  const { olderThanMs = 0, match, recursive, allowRemote } = options;
  if (!(olderThanMs >= 0)) {
    throw new RangeError(
      `olderThanMs must be 0 or more milliseconds, got ${olderThanMs}`,
    );
  }
  if (!allowRemote) rejectRemoteFs(directory);
  const isLockFile = match ?? ((name) => LOCK_FILE_NAME.test(name));
  const base = directory.replace(/(?<=.)\/+$/, "");
  const found: CollectedFile[] = [];
  for (const name of listOrThrow(directory)) {
    const path = base === "/" ? `/${name}` : `${base}/${name}`;
    const file = attemptOn(path, () => {
      const stat = statPath(path, { followSymlink: false, cached: true });
      if (stat?.type === "directory" && recursive) {
        found.push(...collectLockFiles(path, options));
      }
      if (stat?.type !== "file" || !isLockFile(name)) return undefined;
      return collectFile(path, stat, options);
    });
    if (file !== undefined) found.push(file);
  }
  return found.sort((a, b) => a.path < b.path ? -1 : 1);
}

function listOrThrow(directory: string): string[] {
  const names = listDirectory(directory);
  if (typeof names !== "number") return names;
  throw new SyscallError("list", {
    syscall: "open",
    errno: -names,
    path: directory,
  });
}

/** One file that can't be had doesn't keep the others from going. */
function attemptOn(
  path: string,
  action: () => CollectedFile["outcome"] | undefined,
): CollectedFile | undefined {
  try {
    const outcome = action();
    return outcome === undefined ? undefined : { path, outcome };
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    return { path, outcome: "failed", error };
  }
}

function collectFile(
  path: string,
  found: FileStat,
  options: CollectOptions,
): CollectedFile["outcome"] {
  const { dryRun, olderThanMs = 0 } = options;
  if (Date.now() - found.modifiedMs < olderThanMs) return "recent";
  const flags = O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
  const fd = openFile(path, flags);
  if (fd === -ENOENT || fd === -EISDIR) return "gone";
  if (fd < 0) {
    throw new SyscallError("open lock file", {
      syscall: "open",
      errno: -fd,
      path,
    });
  }
  try {
    const stat = statFd(fd);
    if (stat.type !== "file") return "gone";
    if (!lockEveryWay(fd, path)) return "held";
    // Under the lock: the last holder may have written to it.
    if (!options.withContent && !isOurs(fd, path)) return "has-content";
    if (!isStillNamed(path, stat)) return "gone";
    if (dryRun) return "would-remove";
    remove(path);
    return "removed";
  } finally {
    closeFile(fd);
  }
}

/** Whether the file holds nothing, or nothing but a state of holdfast's. */
function isOurs(fd: number, path: string): boolean {
  const head = readHead(fd, path);
  return head === "" || stateKind(head) !== undefined;
}

/** Takes all locks on the file that there are, for as long as it is open. */
function lockEveryWay(fd: number, path: string): boolean {
  return tryFlockFd(fd, "exclusive", path) &&
    fOfdSetlk(fd, { type: "write" }, path);
}

function remove(path: string): void {
  const name = cString(path);
  const result = callLibc(() => libc.unlink(name));
  if (result >= 0 || result === -ENOENT) return;
  throw new SyscallError("remove lock file", {
    syscall: "unlink",
    errno: -result,
    path,
  });
}
