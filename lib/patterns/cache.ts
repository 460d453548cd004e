/**
 * Cache entries that are built once, however many processes want them.
 *
 * @module
 */

import { type FlockHandle, tryFlock } from "../lock/flock/flock.ts";
import { checkFunction, checkOptions, checkString } from "../lock/check.ts";
import { type PathLike, toLockPath } from "../lock/lock_path.ts";
import { makeDirectories } from "../lock/lock_file.ts";
import { rejectForeignDirectory } from "../lock/symlink.ts";
import { quotePath } from "../proc/printable.ts";
import { EACCES } from "../sys/errno.ts";
import { LockError, SyscallError } from "../sys/error.ts";
import {
  closeFile,
  O_CLOEXEC,
  O_NOFOLLOW,
  O_RDONLY,
  openFile,
  statPath,
} from "../sys/file.ts";
import { listDirectory } from "../sys/list_directory.ts";
import { sync } from "../sys/storage/content.ts";
import { renamePath } from "../sys/storage/names.ts";
import { downgrade } from "./convert.ts";
import { checkName } from "./lock_directory.ts";
import { type LockWaitOptions, WaitBudget } from "../acquire/budget.ts";
import { flockAttempt } from "../acquire/flock_attempt.ts";

/** Where {@linkcode getOrBuild} keeps entries. */
export interface CacheOptions extends LockWaitOptions {
  /** The cache directory; created if need be. */
  directory: PathLike;
}

/** Makes a cache entry at a path, under the lock of its key. */
export type CacheBuild = (
  path: string,
  lock: Pick<FlockHandle, "setInheritable">,
) => void | Promise<void>;

/** A cache entry in use: nobody removes it until it is released. */
export interface CacheEntry extends Disposable {
  /** The file or directory. */
  readonly path: string;
  /** Whether this call has built it. */
  readonly built: boolean;
  /** Lets it be removed again; a second call does nothing. */
  release(): void;
}

class HeldCacheEntry implements CacheEntry {
  readonly path: string;
  readonly built: boolean;
  readonly #lock: FlockHandle;

  constructor(path: string, built: boolean, lock: FlockHandle) {
    this.path = path;
    this.built = built;
    this.#lock = lock;
  }

  release(): void {
    this.#lock.release();
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

/**
 * Gives the cache entry of a key, and builds it if there is none: one process
 * builds, the others wait for it and find it done.
 *
 * Entries are files or directories named by their keys. The lock of each is
 * `.locks/KEY.lock` in the cache directory: shared by those who use the entry,
 * exclusive to build or remove it. Whether the entry is there is asked again
 * once the lock is held.
 *
 * An entry is built in a place of its own in `.building`, which no two builds
 * share, and gets its name when it is complete; a file is synced to the disk
 * first. A builder that goes on after this process has died can thus spoil no
 * later build; what it leaves is removed by the next one, of whatever key. A
 * command started by `build` can inherit the lock, so that there is no later
 * build before it has ended: `lock.setInheritable(true)`.
 *
 * Permissions: `--allow-ffi`, and `--allow-read` and `--allow-write` for the
 * cache directory to remove what a builder left. See flock(2), rename(2).
 *
 * @param key Names the entry: 1 to 200 bytes, no slash, no dot in front.
 * @param build Makes a file or directory at the path it is given, under the
 * lock it is given.
 * @param options `directory`, `timeoutMs`, `signal`.
 * @returns The entry, kept from being removed until it is released.
 * @throws {LockTimeoutError} when the entry was locked until the deadline.
 * @throws {LockError} when `build` has made nothing.
 * @throws {RangeError} when the key can't name a file.
 * @throws What `build` throws; nothing is kept of what it made.
 *
 * @example
 * ```ts
 * import { getOrBuild } from "@holdfast/holdfast/patterns";
 *
 * using entry = await getOrBuild(
 *   "answer",
 *   (path) => Deno.writeTextFileSync(path, "42"),
 *   { directory: "/tmp/holdfast-example-cache" },
 * );
 * console.log(Deno.readTextFileSync(entry.path));
 * ```
 */
export async function getOrBuild(
  key: string,
  build: CacheBuild,
  options: CacheOptions,
): Promise<CacheEntry> {
  checkFunction(build, "build");
  checkOptions(options);
  const paths = cachePaths(key, options);
  const { entryPath, givenPath, lockPath } = paths;
  makeOwnDirectory(paths.locks);
  const budget = new WaitBudget(options);
  for (;;) {
    using sharing = flockAttempt(lockPath, { ...options, mode: "shared" });
    const shared = await budget.acquire(lockPath, sharing);
    if (exists(entryPath)) return new HeldCacheEntry(givenPath, false, shared);
    shared.release();

    using excluding = flockAttempt(lockPath, { ...options, mode: "exclusive" });
    const lock = await budget.acquire(lockPath, excluding);
    try {
      const built = !exists(entryPath);
      if (built) await buildEntry(build, paths, lock);
      const { uninterrupted } = await downgrade(lock, options);
      if (uninterrupted || exists(entryPath)) {
        return new HeldCacheEntry(givenPath, built, lock);
      }
    } catch (error) {
      lock.release();
      throw error;
    }
    lock.release();
  }
}

/**
 * Removes the cache entry of a key, when nobody uses it any more.
 *
 * Permissions and errors as for {@linkcode getOrBuild}.
 *
 * @param key Names the entry.
 * @param options `directory`, `timeoutMs`, `signal`.
 * @returns Whether there was one.
 *
 * @example
 * ```ts
 * import { evict } from "@holdfast/holdfast/patterns";
 *
 * await evict("answer", { directory: "/tmp/holdfast-example-cache" });
 * ```
 */
export async function evict(
  key: string,
  options: CacheOptions,
): Promise<boolean> {
  checkOptions(options);
  const paths = cachePaths(key, options);
  const { entryPath, lockPath } = paths;
  if (!exists(entryPath)) return false;
  makeOwnDirectory(paths.locks);
  const budget = new WaitBudget(options);
  using attempt = flockAttempt(lockPath, { ...options, mode: "exclusive" });
  using _lock = await budget.acquire(lockPath, attempt);
  if (!exists(entryPath)) return false;
  // An entry is there whole or not at all, even if this is interrupted.
  const place = newBuildPlace(paths);
  rename(entryPath, place);
  removeAll(place);
  return true;
}

/** The files of one entry. */
interface CachePaths {
  key: string;
  entryPath: string;
  /** The same as the caller named the directory. */
  givenPath: string;
  /** The directory of all locks. */
  locks: string;
  lockPath: string;
  /** The directory of all builds. */
  building: string;
}

function cachePaths(key: string, { directory }: CacheOptions): CachePaths {
  checkString(key, "key");
  checkName(key, "cache key");
  const target = toLockPath(directory, "directory");
  rejectForeignDirectory(target);
  const { given, absolute } = target;
  return {
    key,
    entryPath: `${absolute}/${key}`,
    givenPath: `${given}/${key}`,
    locks: `${absolute}/.locks`,
    lockPath: `${absolute}/.locks/${key}.lock`,
    building: `${absolute}/.building`,
  };
}

/** A directory that no symbolic link may stand for: others could move it. */
function makeOwnDirectory(path: string): void {
  makeDirectories(path);
  const type = statPath(path, { followSymlink: false })?.type;
  if (type === "directory") return;
  throw new LockError(
    `Cannot keep a cache by ${quotePath(path)}: it is a ${type}, ` +
      "not a directory; remove it or choose another cache",
  );
}

/**
 * A path for one build, under the lock of its key. What dead builders have left
 * goes: the living hold the lock of theirs.
 */
function newBuildPlace({ key, building, locks }: CachePaths): string {
  makeOwnDirectory(building);
  const names = listDirectory(building);
  for (const name of typeof names === "number" ? [] : names) {
    const place = `${building}/${name}`;
    const owner = BUILD_NAME.exec(name)?.[1];
    if (owner === key) removeAll(place);
    else if (owner !== undefined) {
      removeIfDead(place, `${locks}/${owner}.lock`);
    }
  }
  return `${building}/${key}.${crypto.randomUUID().replaceAll("-", "")}`;
}

/** The key and the token of a build. */
const BUILD_NAME = /^([^.].*)\.[0-9a-f]{32}$/s;

/** Another key's: a failure here doesn't stop this build. */
function removeIfDead(place: string, lockPath: string): void {
  try {
    using lock = tryFlock(lockPath);
    if (lock !== undefined) removeAll(place);
  } catch (error) {
    const isRefused = error instanceof LockError ||
      error instanceof Deno.errors.NotCapable ||
      error instanceof Error && "code" in error;
    if (!isRefused) throw error;
  }
}

async function buildEntry(
  build: CacheBuild,
  paths: CachePaths,
  lock: FlockHandle,
): Promise<void> {
  const { entryPath } = paths;
  const place = newBuildPlace(paths);
  try {
    await build(place, lock);
    if (!exists(place)) {
      throw new LockError(
        `Cannot cache ${quotePath(entryPath)}: nothing was built at ` +
          quotePath(place),
      );
    }
    syncIfFile(place);
    rename(place, entryPath);
  } finally {
    removeAll(place);
  }
}

/** A name must not be on disk before the content is. */
function syncIfFile(path: string): void {
  if (statPath(path, { followSymlink: false })?.type !== "file") return;
  const fd = openFile(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  // One that may not be read can be an entry all the same.
  if (fd === -EACCES) return;
  const result = fd < 0 ? fd : sync(fd);
  if (fd >= 0) closeFile(fd);
  if (result >= 0) return;
  throw new SyscallError("write", {
    syscall: fd < 0 ? "open" : "fsync",
    errno: -result,
    path,
  });
}

function exists(path: string): boolean {
  return statPath(path, { followSymlink: false }) !== undefined;
}

function removeAll(path: string): void {
  if (exists(path)) Deno.removeSync(path, { recursive: true });
}

function rename(from: string, to: string): void {
  const result = renamePath(from, to);
  if (result >= 0) return;
  throw new SyscallError(`rename ${quotePath(from)} to`, {
    syscall: "rename",
    errno: -result,
    path: to,
  });
}
