/**
 * Removing lock files that nobody needs any more.
 *
 * @module
 */

import { rejectRemoteFs } from "../fs/guard.ts";
import { isFlockRecordLock } from "../fs/record_guard.ts";
import { tryFlockFd } from "../lock/flock/flock.ts";
import { type PathLike, toLockPath } from "../lock/lock_path.ts";
import { fOfdSetlk } from "../lock/record/record_lock.ts";
import { openDirectory } from "../lock/symlink.ts";
import { quotePath } from "../proc/printable.ts";
import { EAGAIN, EISDIR, ELOOP, ENOENT, ENOTDIR } from "../sys/errno.ts";
import { LockError, SyscallError } from "../sys/error.ts";
import {
  closeFile,
  type FileStat,
  isSameFile,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOCTTY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
  O_RDWR,
  statAt,
  statFd,
} from "../sys/file.ts";
import { listOpenDirectory } from "../sys/list_directory.ts";
import { openAt, unlinkAt } from "../sys/storage/names.ts";
import { fileKind, isCollectable } from "./file_kind.ts";
import { readHead } from "./state_file.ts";

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
   * Whether a name is that of a lock file. Unless given, those that end in
   * `.lock`, the queue files of fair turns (`.lock.queue`), the slots in a
   * directory `NAME.slots`, and what an interrupted
   * {@linkcode transformFile} has left (`.holdfast.UUID`).
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
   * `recent`, `has-content`; `state` that is needed yet, as that of `--every`
   * before its interval is over; a `link-lock`, held or not, or part of one;
   * `gone` (removed or replaced by others just then), or `failed`.
   */
  outcome:
    | "removed"
    | "would-remove"
    | "held"
    | "recent"
    | "has-content"
    | "state"
    | "link-lock"
    | "gone"
    | "failed";
  /** Why it failed. */
  error?: LockError;
}

/**
 * Removes the lock files of a directory that nobody holds, while others go on
 * taking locks there.
 *
 * Each file is locked first, in every way there is (flock and all bytes by
 * fcntl), then it is made sure that its name still means it, and it is removed
 * while it is locked. A process that has opened it meanwhile gets the lock of
 * a file without a name; one that uses holdfast notices, and takes the lock of
 * the new file. Programs that don't look again, such as flock(1), can end up
 * with a lock that excludes nobody: leave their lock files alone.
 *
 * Only regular files that are empty are removed, or that hold nothing but
 * holdfast's own state, and only when that is of no more use. A link lock is
 * never removed, nor its private files and its counter: `holdfast link` sees to
 * them. In a cache of {@linkcode getOrBuild} only the locks are looked at.
 * Symbolic links below the directory are neither followed nor removed, even
 * if one takes the place of a directory just then: the walk goes by open
 * directories. A POSIX record lock that this very process holds on such a file
 * is lost, as by any close(2) of it.
 *
 * Permissions: `--allow-ffi`. See openat(2), unlinkat(2), flock(2),
 * fcntl_locking(2).
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
  directory: PathLike,
  options: CollectOptions = {},
): CollectedFile[] {
  const { olderThanMs = 0 } = options;
  if (!(olderThanMs >= 0)) {
    throw new RangeError(
      `olderThanMs must be 0 or more milliseconds, got ${olderThanMs}`,
    );
  }
  const target = toLockPath(directory, "directory");
  const { given } = target;
  const fd = openDirectory(target, OPEN_DIRECTORY);
  if (fd < 0) throw listError(given, -fd);
  const path = given.replace(/(?<=.)\/+$/, "");
  using walked = new OpenDirectory(fd, path, 0);
  return [...collectIn(walked, options)].sort((a, b) =>
    a.path < b.path ? -1 : 1
  );
}

const OPEN_DIRECTORY = O_RDONLY | O_DIRECTORY | O_CLOEXEC;

/** A deeper tree than this was made to use up our descriptors. */
const MAX_DEPTH = 256;

/** A directory on the walk. */
class OpenDirectory implements Disposable {
  readonly fd: number;
  readonly path: string;
  /** How many directories it is below the first. */
  readonly depth: number;

  constructor(fd: number, path: string, depth: number) {
    this.fd = fd;
    this.path = path;
    this.depth = depth;
  }

  /** What to call a file in it. */
  pathOf(name: string): string {
    return this.path === "/" ? `/${name}` : `${this.path}/${name}`;
  }

  [Symbol.dispose](): void {
    closeFile(this.fd);
  }
}

function* collectIn(
  directory: OpenDirectory,
  options: CollectOptions,
): Generator<CollectedFile> {
  const { match, recursive, allowRemote } = options;
  if (!allowRemote) rejectRemoteFs(directory.fd, directory.path);
  const names = listOpenDirectory(directory.fd);
  if (typeof names === "number") throw listError(directory.path, -names);
  const ownName = directory.path.slice(directory.path.lastIndexOf("/") + 1);
  const isLockFile = match ?? ((name) => isCollectable(name, ownName));
  const isCache = isDirectory(directory.fd, CACHE_LOCKS);
  for (const name of names) {
    // The rest are entries, and what builders are about to make one.
    if (isCache && name !== CACHE_LOCKS) continue;
    const path = directory.pathOf(name);
    try {
      const stat = statAt(directory.fd, name);
      if (typeof stat === "number") continue;
      if (stat.type === "directory" && recursive) {
        yield* collectBelow(directory, name, options);
      } else if (stat.type === "file" && isLockFile(name)) {
        yield { path, outcome: collectFile(directory, name, stat, options) };
      }
    } catch (error) {
      // A failure with one doesn't keep the others.
      if (!(error instanceof LockError)) throw error;
      yield { path, outcome: "failed", error };
    }
  }
}

/** The directory of the locks in a cache. */
const CACHE_LOCKS = ".locks";

function isDirectory(dirFd: number, name: string): boolean {
  const stat = statAt(dirFd, name);
  return typeof stat !== "number" && stat.type === "directory";
}

function* collectBelow(
  parent: OpenDirectory,
  name: string,
  options: CollectOptions,
): Generator<CollectedFile> {
  const path = parent.pathOf(name);
  if (parent.depth === MAX_DEPTH) {
    throw new LockError(
      `Cannot look into ${quotePath(path)}: it is more than ${MAX_DEPTH} ` +
        "directories deep",
    );
  }
  const fd = openAt(parent.fd, name, OPEN_DIRECTORY | O_NOFOLLOW);
  // Removed since, or replaced by something else.
  if (fd === -ENOENT || fd === -ELOOP || fd === -ENOTDIR) return;
  if (fd < 0) throw listError(path, -fd);
  using directory = new OpenDirectory(fd, path, parent.depth + 1);
  yield* collectIn(directory, options);
}

function listError(path: string, errno: number): SyscallError {
  return new SyscallError("list", { syscall: "open", errno, path });
}

const OPEN_FILE = O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;

function collectFile(
  directory: OpenDirectory,
  name: string,
  found: FileStat,
  options: CollectOptions,
): CollectedFile["outcome"] {
  const { dryRun, olderThanMs = 0 } = options;
  const path = directory.pathOf(name);
  // A file written just now may seem to come from the future.
  const ageMs = Math.max(0, Date.now() - found.modifiedMs);
  if (ageMs < olderThanMs) return "recent";
  const fd = openAt(directory.fd, name, OPEN_FILE);
  if (fd === -ENOENT || fd === -ELOOP || fd === -EISDIR) return "gone";
  // Somebody has a lease on it; see F_SETLEASE in fcntl(2).
  if (fd === -EAGAIN) return "held";
  if (fd < 0) {
    throw new SyscallError("open lock file", {
      syscall: "openat",
      errno: -fd,
      path,
    });
  }
  try {
    const stat = statFd(fd);
    if (stat.type !== "file") return "gone";
    if (!lockEveryWay(fd, path)) return "held";
    // Under the lock: the last holder may have written to it.
    const kept = keptFor(fd, path, name, stat, options);
    if (kept !== undefined) return kept;
    const now = statAt(directory.fd, name);
    if (typeof now === "number" || !isSameFile(now, stat)) return "gone";
    if (dryRun) return "would-remove";
    remove(directory, name);
    return "removed";
  } finally {
    closeFile(fd);
  }
}

/** A file is created before it is locked. */
const TEMPORARY_MS = 60_000;

/** Why a file that nobody holds stays. */
function keptFor(
  fd: number,
  path: string,
  name: string,
  stat: FileStat,
  { withContent }: CollectOptions,
): CollectedFile["outcome"] | undefined {
  const nowMs = Date.now();
  const kind = fileKind(name, readHead(fd, path), nowMs);
  switch (kind) {
    case "link-lock":
    case "state":
      return kind;
    case "temporary":
      return nowMs - stat.modifiedMs < TEMPORARY_MS ? "recent" : undefined;
    case "copy":
      return "has-content";
    case "content":
      return withContent ? undefined : "has-content";
  }
  return undefined;
}

/** Takes all locks on the file that there are, for as long as it is open. */
function lockEveryWay(fd: number, path: string): boolean {
  const lockRecords = () => fOfdSetlk(fd, { type: "write" }, { path });
  // Where they are one lock, each would be in the way of the other.
  if (isFlockRecordLock(fd)) return lockRecords();
  return tryFlockFd(fd, { path }) && lockRecords();
}

function remove(directory: OpenDirectory, name: string): void {
  const result = unlinkAt(directory.fd, name);
  if (result >= 0 || result === -ENOENT) return;
  throw new SyscallError("remove lock file", {
    syscall: "unlinkat",
    errno: -result,
    path: directory.pathOf(name),
  });
}
