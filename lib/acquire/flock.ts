/**
 * Taking a flock with a deadline.
 *
 * @module
 */

import type { FlockHandle, LockMode } from "../lock/flock/flock.ts";
import { checkFunction } from "../lock/check.ts";
import type { ClusterAcquireOptions } from "../cluster/acquire.ts";
import type { ClusterLock } from "../cluster/engine.ts";
import {
  isLockUrl,
  type LockUrl,
  type PathLike,
  toLockPath,
} from "../lock/lock_path.ts";
import type { WaitOptions } from "../wait/attempt_loop.ts";
import { WaitBudget, type WaitInfo } from "./budget.ts";
import { flockAttempt } from "./flock_attempt.ts";
import type { NestedOptions } from "./nested.ts";

export type { WaitInfo } from "./budget.ts";

/** What is checked and created before a file is locked. */
export interface TryAcquireOptions {
  /** Shared or exclusive; exclusive unless set. */
  mode?: LockMode | undefined;
  /** Create missing parent directories of the lock file. */
  createParents?: boolean | undefined;
  /** Lock even on a network, cluster or FUSE filesystem. */
  allowRemote?: boolean | undefined;
}

/** How {@linkcode acquire} takes a lock and waits for it. */
export interface AcquireOptions
  extends TryAcquireOptions, WaitOptions, NestedOptions {
  /** Called once, when the lock is found busy and the wait begins. */
  onWait?: ((info: WaitInfo) => void) | undefined;
  /**
   * Called once, when the kernel can't tell when the lock is worth another
   * attempt, so that the wait polls instead: the filesystem is remote, or the
   * limits of inotify(7) are reached.
   */
  onDegraded?: ((reason: Error) => void) | undefined;
}

/**
 * Takes an exclusive or shared flock(2) on a file if it is free.
 *
 * The file is created if need be; a network, cluster or FUSE filesystem is
 * refused; and the lock is taken on the file that the path names at that
 * moment, even if others remove or replace it.
 *
 * Permissions: `--allow-ffi`. See flock(2).
 *
 * @param path The lock file. A relative one is a promise about one file: the
 * one that it names from the directory that is current now.
 * @param options Mode and checks.
 * @returns The held lock, or `undefined` when somebody else holds it.
 * @throws {UnsupportedFilesystemError} when flock can't be relied on there.
 * @throws {SyscallError} when the file can't be opened or locked.
 *
 * @example
 * ```ts
 * import { tryAcquire } from "@holdfast/holdfast";
 *
 * using lock = tryAcquire("/tmp/holdfast-example.lock");
 * if (lock === undefined) console.log("already running");
 * ```
 */
export function tryAcquire(
  path: PathLike,
  options: TryAcquireOptions = {},
): FlockHandle | undefined {
  if (isLockUrl(path)) {
    throw new TypeError(
      "tryAcquire can't ask another machine: await acquire with timeoutMs 0",
    );
  }
  // `using` costs as much as a system call here.
  const attempt = flockAttempt(toLockPath(path), options);
  try {
    return attempt.try();
  } finally {
    attempt[Symbol.dispose]();
  }
}

/**
 * Takes a lock in an engine that several machines share. What loads the engine
 * is loaded now; `acquireClusterLock` of `./cluster` says the rest.
 *
 * Permissions: `--allow-net` for the engine's servers.
 *
 * @param path The lock: `etcd://HOST/NAME` or `postgres://HOST/DATABASE#NAME`.
 * @param options `timeoutMs`, `signal`, `ttlMs` and more.
 * @returns The held lock; `await using` releases it at the end of the block, as
 * it does those of this machine. `using` can't.
 * @throws {ClusterLockTimeoutError} when it was busy until the deadline.
 * @throws {ClusterUnreachableError} when the engine can't be reached or used.
 * @throws {ClusterPermissionError} when it refuses this user.
 * @throws `signal.reason` when the signal aborts.
 *
 * @example
 * ```ts
 * import { acquire } from "@holdfast/holdfast";
 *
 * export async function deploy(): Promise<void> {
 *   await using lock = await acquire("etcd://db1,db2,db3/deploy");
 *   console.log(`holder number ${lock.fence}`);
 * }
 * ```
 */
export function acquire(
  path: LockUrl,
  options?: ClusterAcquireOptions,
): Promise<ClusterLock>;
/**
 * Takes an exclusive or shared flock(2) on a file, waiting until it is free,
 * the time is up or the signal aborts. Other work of this process goes on
 * meanwhile.
 *
 * The wait is a call that sleeps in the kernel on a thread of its own, for each
 * file: /proc/locks and `holdfast who` show it, and the runtime's helper threads
 * have no part in it. The thread tells of its end by SIGURG, for which a program
 * that listens to that signal is called too. Waits in a Worker, on remote
 * filesystems, and for more files than there can be threads sleep until someone
 * closes the file, by inotify(7), and find a release that leaves it open by
 * attempts 0.25 to 5 s apart. What a Worker waits for or has taken so is given
 * up when the Worker ends, even if it is terminated. Calls for one path in one isolate are served in
 * order, with one descriptor for all that wait.
 *
 * Permissions: `--allow-ffi`. See flock(2).
 *
 * @param path The lock file; as for {@linkcode tryAcquire}.
 * @param options Mode, checks, `timeoutMs`, `signal` and `onWait`.
 * @returns The held lock; `using` releases it at the end of the block.
 * @throws {LockTimeoutError} when it was busy until the deadline; it names
 * the holders.
 * @throws {SelfDeadlockError} when it would wait without end, for an ancestor
 * that waits for this process; see `allowNested`.
 * @throws {UnsupportedFilesystemError} when flock can't be relied on there.
 * @throws {SyscallError} when the file can't be opened or locked.
 * @throws {RangeError} when `timeoutMs` is negative or not a number.
 * @throws `signal.reason` when the signal aborts.
 *
 * @example
 * ```ts
 * import { acquire } from "@holdfast/holdfast";
 *
 * using lock = await acquire("/tmp/holdfast-example.lock", {
 *   timeoutMs: 5000,
 * });
 * console.log(`holding ${lock.path}`);
 * ```
 */
export function acquire(
  path: PathLike,
  options?: AcquireOptions,
): Promise<FlockHandle>;
export function acquire(
  path: PathLike,
  options: AcquireOptions | ClusterAcquireOptions = {},
): Promise<FlockHandle | ClusterLock> {
  return isLockUrl(path)
    ? acquireByUrl(path, options as ClusterAcquireOptions)
    : acquireFlock(path, options as AcquireOptions);
}

/**
 * Not a literal: Deno would read the engines' modules, and an npm package, at
 * the start of every program that takes a lock, which costs 15 ms. What makes
 * one file of a program doesn't find them: there, import `./cluster` itself.
 */
function loadCluster(): Promise<typeof import("../cluster/acquire.ts")> {
  return import(new URL("../cluster/acquire.ts", import.meta.url).href);
}

async function acquireByUrl(
  url: LockUrl,
  options: ClusterAcquireOptions,
): Promise<ClusterLock> {
  const { acquireClusterLock } = await loadCluster();
  return await acquireClusterLock(url, options);
}

async function acquireFlock(
  path: PathLike,
  options: AcquireOptions,
): Promise<FlockHandle> {
  const file = toLockPath(path);
  using attempt = flockAttempt(file, options);
  const budget = new WaitBudget(options);
  return await budget.acquire(file, attempt, { queue: file.absolute });
}

/**
 * Runs a function while holding a lock of an engine, and releases the lock when
 * the function returns or throws. It is to stop when `lock.lost` aborts.
 *
 * Permissions and errors as for {@linkcode acquire}.
 *
 * @param path The lock.
 * @param options How to take the lock.
 * @param fn Runs once the lock is held.
 * @returns What `fn` returns.
 */
export function withLock<T>(
  path: LockUrl,
  options: ClusterAcquireOptions,
  fn: (lock: ClusterLock) => T | Promise<T>,
): Promise<T>;
/**
 * Runs a function while holding a lock, and releases the lock when the
 * function returns or throws.
 *
 * Permissions and errors as for {@linkcode acquire}.
 *
 * @param path The lock file.
 * @param options How to take the lock.
 * @param fn Runs once the lock is held.
 * @returns What `fn` returns.
 *
 * @example
 * ```ts
 * import { withLock } from "@holdfast/holdfast";
 *
 * const answer = await withLock(
 *   "/tmp/holdfast-example.lock",
 *   { timeoutMs: 5000 },
 *   () => 42,
 * );
 * console.log(answer);
 * ```
 */
export function withLock<T>(
  path: PathLike,
  options: AcquireOptions,
  fn: (lock: FlockHandle) => T | Promise<T>,
): Promise<T>;
export async function withLock<T>(
  path: PathLike,
  options: AcquireOptions | ClusterAcquireOptions,
  fn:
    | ((lock: FlockHandle) => T | Promise<T>)
    | ((lock: ClusterLock) => T | Promise<T>),
): Promise<T> {
  checkFunction(fn, "fn");
  if (isLockUrl(path)) {
    await using lock = await acquireByUrl(
      path,
      options as ClusterAcquireOptions,
    );
    return await (fn as (lock: ClusterLock) => T | Promise<T>)(lock);
  }
  using lock = await acquireFlock(path, options as AcquireOptions);
  return await (fn as (lock: FlockHandle) => T | Promise<T>)(lock);
}
