/**
 * Cache entries that are built once, however many processes want them.
 *
 * @module
 */

import type { FlockHandle } from "../lock/flock/flock.ts";
import { makeDirectories } from "../lock/lock_file.ts";
import { quotePath } from "../proc/printable.ts";
import { callLibc, cString } from "../sys/call.ts";
import { LockError, SyscallError } from "../sys/error.ts";
import { statPath } from "../sys/file.ts";
import { libc } from "../sys/libc.ts";
import { downgrade } from "./convert.ts";
import { checkName } from "./lock_directory.ts";
import {
  type CoordOptions,
  openAttempt,
  WaitBudget,
} from "../acquire/budget.ts";

/** Where {@linkcode getOrBuild} keeps entries. */
export interface CacheOptions extends CoordOptions {
  /** The cache directory; created if need be. */
  directory: string;
}

/** A cache entry in use: nobody removes it until it is released. */
export class CacheEntry implements Disposable {
  /** The file or directory. */
  readonly path: string;
  /** Whether this call has built it. */
  readonly built: boolean;
  readonly #lock: FlockHandle;

  /** Made by {@linkcode getOrBuild}. */
  constructor(path: string, built: boolean, lock: FlockHandle) {
    this.path = path;
    this.built = built;
    this.#lock = lock;
  }

  /** Lets it be removed again; a second call does nothing. */
  release(): void {
    this.#lock.release();
  }

  /** Releases it; see {@linkcode CacheEntry.release}. */
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
 * once the lock is held. An entry is built under another name, in `.building`,
 * and renamed when it is complete; what a killed builder left there is removed
 * by the next one.
 *
 * Permissions: `--allow-ffi`, and `--allow-read` and `--allow-write` for the
 * cache directory to remove what a builder left. See flock(2), rename(2).
 *
 * @param key Names the entry: 1 to 200 bytes, no slash, no dot in front.
 * @param build Makes a file or directory at the path it is given.
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
  build: (path: string) => void | Promise<void>,
  options: CacheOptions,
): Promise<CacheEntry> {
  const { entryPath, lockPath, buildPath } = cachePaths(key, options);
  makeDirectories(`${options.directory}/.locks`);
  const budget = new WaitBudget(options);
  for (;;) {
    using sharing = openAttempt(lockPath, "shared", options);
    const shared = await budget.take(lockPath, sharing);
    if (shared === undefined) throw await budget.timeoutError(lockPath);
    if (exists(entryPath)) return new CacheEntry(entryPath, false, shared);
    shared.release();

    using excluding = openAttempt(lockPath, "exclusive", options);
    const lock = await budget.take(lockPath, excluding);
    if (lock === undefined) throw await budget.timeoutError(lockPath);
    try {
      const built = !exists(entryPath);
      if (built) await buildEntry(build, buildPath, entryPath);
      const { uninterrupted } = await downgrade(lock, options);
      if (uninterrupted || exists(entryPath)) {
        return new CacheEntry(entryPath, built, lock);
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
  const { entryPath, lockPath, buildPath } = cachePaths(key, options);
  if (!exists(entryPath)) return false;
  const budget = new WaitBudget(options);
  using attempt = openAttempt(lockPath, "exclusive", {
    ...options,
    createParents: true,
  });
  using lock = await budget.take(lockPath, attempt);
  if (lock === undefined) throw await budget.timeoutError(lockPath);
  if (!exists(entryPath)) return false;
  // An entry is there whole or not at all, even if this is interrupted.
  makeDirectories(`${options.directory}/.building`);
  removeAll(buildPath);
  rename(entryPath, buildPath);
  removeAll(buildPath);
  return true;
}

function cachePaths(key: string, { directory }: CacheOptions) {
  checkName(key, "cache key");
  return {
    entryPath: `${directory}/${key}`,
    lockPath: `${directory}/.locks/${key}.lock`,
    buildPath: `${directory}/.building/${key}`,
  };
}

async function buildEntry(
  build: (path: string) => void | Promise<void>,
  buildPath: string,
  entryPath: string,
): Promise<void> {
  makeDirectories(buildPath.slice(0, buildPath.lastIndexOf("/")));
  removeAll(buildPath);
  try {
    await build(buildPath);
    if (!exists(buildPath)) {
      throw new LockError(
        `Cannot cache ${quotePath(entryPath)}: nothing was built at ` +
          quotePath(buildPath),
      );
    }
    rename(buildPath, entryPath);
  } finally {
    removeAll(buildPath);
  }
}

function exists(path: string): boolean {
  return statPath(path, { followSymlink: false }) !== undefined;
}

function removeAll(path: string): void {
  if (exists(path)) Deno.removeSync(path, { recursive: true });
}

function rename(from: string, to: string): void {
  const fromName = cString(from);
  const toName = cString(to);
  const result = callLibc(() => libc.rename(fromName, toName));
  if (result >= 0) return;
  throw new SyscallError(`rename ${quotePath(from)} to`, {
    syscall: "rename",
    errno: -result,
    path: to,
  });
}
