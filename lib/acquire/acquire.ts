/**
 * Taking a lock of any kind. Each kind has a module of its own; a program that
 * knows its kind in advance, such as the command line, imports that one and
 * loads less.
 *
 * @module
 */

import type { ClusterAcquireOptions } from "../cluster/acquire.ts";
import type { ClusterLock } from "../cluster/engine.ts";
import type { BothLockHandle } from "../lock/both_lock.ts";
import { checkOptions, optionsAndFunction } from "../lock/check.ts";
import type { FlockHandle } from "../lock/flock/flock.ts";
import type { HeldAsyncLock, HeldLock } from "../lock/held_lock.ts";
import { tryLinkLock } from "../lock/link/attempt.ts";
import type {
  LinkLockHandle,
  LinkLockOptions,
} from "../lock/link/link_lock.ts";
import { isLockUrl, type LockUrl, type PathLike } from "../lock/lock_path.ts";
import type { RecordLockHandle } from "../lock/record/record_lock_handle.ts";
import {
  acquireFlock,
  type AcquireOptions,
  tryAcquireFlock,
  type TryAcquireOptions,
} from "./flock.ts";
import { kindOf, type LockKind, rejectOtherOptions } from "./kind_options.ts";
import { acquireLinkLock, type AcquireLinkLockOptions } from "./link.ts";
import {
  acquireBothLocks,
  type AcquireBothOptions,
  acquireRecordLock,
  type AcquireRecordLockOptions,
  type CheckedRecordLockOptions,
  tryBothLocks,
  type TryBothOptions,
  tryCheckedRecordLock,
} from "./record.ts";

export type { LockKind } from "./kind_options.ts";

/** What a lock of a kind is held as. */
export type HandleOf<Kind extends LockKind> = Kind extends "flock" ? FlockHandle
  : Kind extends "ofd" | "posix" ? RecordLockHandle
  : Kind extends "both" ? BothLockHandle
  : LinkLockHandle;

/** How `tryAcquire` takes a lock of a kind. */
export type TryAcquireOptionsOf<Kind extends LockKind> =
  & { kind: Kind }
  & (Kind extends "flock" ? TryAcquireOptions
    : Kind extends "ofd" | "posix" ? CheckedRecordLockOptions
    : Kind extends "both" ? TryBothOptions
    : LinkLockOptions);

/** How `acquire` takes a lock of a kind and waits for it. */
export type AcquireOptionsOf<Kind extends LockKind> =
  & { kind: Kind }
  & (Kind extends "flock" ? AcquireOptions
    : Kind extends "ofd" | "posix" ? AcquireRecordLockOptions
    : Kind extends "both" ? AcquireBothOptions
    : AcquireLinkLockOptions);

/** Nothing was given, so there is nothing to check: the hot path. */
const NO_OPTIONS: TryAcquireOptions = {};

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
 * @param options `mode` and checks.
 * @returns The held lock, or `undefined` when somebody else holds it.
 * @throws {UnsupportedFilesystemError} when flock can't be relied on there.
 * @throws {SyscallError} when the file can't be opened or locked.
 * @throws {TypeError} when an argument is of the wrong type.
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
  options?: TryAcquireOptions,
): FlockHandle | undefined;
/**
 * Takes a lock of the kind that is named if it is free: an fcntl(2) lock on a
 * range of bytes, flock and fcntl together, or a link lock.
 *
 * Permissions: `--allow-ffi`; for link locks those of `./link-lock`.
 *
 * @param path The file.
 * @param options `kind`, and the options of that kind.
 * @returns The held lock, whose type follows the kind; `undefined` when
 * somebody else holds one in the way.
 * @throws {UnsupportedFilesystemError} when such locks can't be relied on there.
 * @throws {SyscallError} when the file can't be opened or locked.
 * @throws {TypeError} when an argument is of the wrong type, or an option of
 * another kind.
 *
 * @example
 * ```ts
 * import { tryAcquire } from "@holdfast/holdfast";
 *
 * using lock = tryAcquire("/tmp/holdfast-example.db", {
 *   kind: "ofd",
 *   range: { startByte: 100n, lengthBytes: 10n },
 * });
 * console.log(lock ? `bytes ${lock.startByte}-${lock.endByte}` : "busy");
 * ```
 */
export function tryAcquire<const Kind extends LockKind>(
  path: PathLike,
  options: TryAcquireOptionsOf<Kind>,
): HandleOf<Kind> | undefined;
export function tryAcquire(
  path: PathLike,
  options: TryAcquireOptions | TryAcquireOptionsOf<LockKind> = NO_OPTIONS,
): HandleOf<LockKind> | undefined {
  if (isLockUrl(path)) {
    throw new TypeError(
      "tryAcquire can't ask another machine: await acquire with timeoutMs 0",
    );
  }
  if (options === NO_OPTIONS) return tryAcquireFlock(path, NO_OPTIONS);
  switch (kindOf(options)) {
    case "flock":
      return tryAcquireFlock(path, options as TryAcquireOptions);
    case "ofd":
    case "posix":
      return tryCheckedRecordLock(path, options as CheckedRecordLockOptions);
    case "both":
      return tryBothLocks(path, options as TryBothOptions);
    case "link":
      return tryLinkLock(path, options as LinkLockOptions);
  }
}

/**
 * Takes a lock in an engine that several machines share. The engine's code is
 * loaded now. `acquireClusterLock` of `./cluster` documents the rest.
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
 * The wait is a call that sleeps in the kernel on a thread of its own, for
 * each file: /proc/locks and `holdfast who` show it, and the runtime's helper
 * threads have no part in it. The thread tells of its end by SIGURG, for which
 * a program that listens to that signal is called too. Waits in a Worker, on
 * remote filesystems, and for more files than there can be threads sleep until
 * someone closes the file, by inotify(7); a release that leaves it open is
 * found by attempts 0.25 to 5 s apart. Whatever a Worker waits for or has
 * taken is given up when it ends, even if it is terminated; what it takes first
 * by a call that gives no promise, such as {@linkcode tryAcquire}, from its next
 * turn of the event loop on. Calls for one path in one isolate are served in
 * order, with one descriptor for all that wait.
 *
 * Permissions: `--allow-ffi`. See flock(2).
 *
 * @param path The lock file; as for {@linkcode tryAcquire}.
 * @param options `mode`, checks, `timeoutMs`, `signal` and `onWait`.
 * @returns The held lock; `using` releases it at the end of the block.
 * @throws {LockTimeoutError} when it was busy until the deadline; it names
 * the holders.
 * @throws {SelfDeadlockError} when it would wait without end, for an ancestor
 * that waits for this process; see `allowNested`.
 * @throws {UnsupportedFilesystemError} when flock can't be relied on there.
 * @throws {SyscallError} when the file can't be opened or locked.
 * @throws {RangeError} when `timeoutMs` is negative or not a number.
 * @throws {TypeError} when an argument is of the wrong type.
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
/**
 * Takes a lock of the kind that is named, waiting as for a flock:
 * `acquireRecordLock` and `acquireBothLocks` of `./record-lock` and
 * `acquireLinkLock` of `./link-lock` say what is true of each.
 *
 * Permissions: `--allow-ffi`; for link locks those of `./link-lock`.
 *
 * @param path The file.
 * @param options `kind`, the options of that kind, `timeoutMs`, `signal` and
 * `onWait`.
 * @returns The held lock, whose type follows the kind; `using` releases it at
 * the end of the block.
 * @throws {LockTimeoutError} when it was busy until the deadline.
 * @throws {SelfDeadlockError} when it would wait without end, for an ancestor
 * that waits for this process; see `allowNested`.
 * @throws {UnsupportedFilesystemError} when such locks can't be relied on there.
 * @throws {SyscallError} when the file can't be opened or locked.
 * @throws {RangeError} when `timeoutMs` is negative or not a number.
 * @throws {TypeError} when an argument is of the wrong type, or an option of
 * another kind.
 * @throws `signal.reason` when the signal aborts.
 *
 * @example
 * ```ts
 * import { acquire } from "@holdfast/holdfast";
 *
 * using lock = await acquire("/tmp/holdfast-example.link", {
 *   kind: "link",
 *   message: "nightly job",
 *   timeoutMs: 5000,
 * });
 * console.log(`holder number ${lock.fence}`);
 * ```
 */
export function acquire<const Kind extends LockKind>(
  path: PathLike,
  options: AcquireOptionsOf<Kind>,
): Promise<HandleOf<Kind>>;
export function acquire(
  path: PathLike,
  options: AnyAcquireOptions = {},
): Promise<HandleOf<LockKind> | ClusterLock> {
  return acquireAny(path, options);
}

type AnyAcquireOptions =
  | AcquireOptions
  | AcquireOptionsOf<LockKind>
  | ClusterAcquireOptions;

async function acquireAny(
  path: PathLike,
  options: AnyAcquireOptions,
): Promise<HandleOf<LockKind> | ClusterLock> {
  if (isLockUrl(path)) {
    return await acquireByUrl(path, options as ClusterAcquireOptions);
  }
  switch (kindOf(options as AcquireOptionsOf<LockKind>)) {
    case "flock":
      return await acquireFlock(path, options as AcquireOptions);
    case "ofd":
    case "posix":
      return await acquireRecordLock(path, options as AcquireRecordLockOptions);
    case "both":
      return await acquireBothLocks(path, options as AcquireBothOptions);
    case "link":
      return await acquireLinkLock(path, options as AcquireLinkLockOptions);
  }
}

/**
 * Not a literal: Deno would read the engines' modules, and an npm package, at
 * the start of every program that takes a lock, which costs 15 ms. A bundler
 * doesn't find them: import `./cluster` itself there.
 */
function loadCluster(): Promise<typeof import("../cluster/acquire.ts")> {
  return import(new URL("../cluster/acquire.ts", import.meta.url).href);
}

async function acquireByUrl(
  url: LockUrl,
  options: ClusterAcquireOptions,
): Promise<ClusterLock> {
  checkOptions(options);
  rejectOtherOptions(options, "engine");
  const { acquireClusterLock } = await loadCluster();
  return await acquireClusterLock(url, options);
}

/**
 * Runs a function while holding an exclusive flock(2), taken without a
 * deadline, or a lock of an engine. The lock is released when the function
 * returns or throws.
 *
 * Permissions and errors as for {@linkcode acquire}.
 *
 * @param path The lock.
 * @param fn Runs once the lock is held; under a lock of an engine it must stop
 * when `lock.lost` aborts.
 * @returns What `fn` returns.
 *
 * @example
 * ```ts
 * import { withLock } from "@holdfast/holdfast";
 *
 * const answer = await withLock("/tmp/holdfast-example.lock", () => 42);
 * console.log(answer);
 * ```
 */
export function withLock<T>(
  path: LockUrl,
  fn: (lock: ClusterLock) => T | Promise<T>,
): Promise<T>;
/** The same on a lock file. */
export function withLock<T>(
  path: PathLike,
  fn: (lock: FlockHandle) => T | Promise<T>,
): Promise<T>;
/** The same with options for a lock of an engine. */
export function withLock<T>(
  path: LockUrl,
  options: ClusterAcquireOptions,
  fn: (lock: ClusterLock) => T | Promise<T>,
): Promise<T>;
/**
 * The same with options for a flock.
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
 * await withLock(
 *   "/tmp/holdfast-example.lock",
 *   { mode: "shared", timeoutMs: 5000 },
 *   (lock) => console.log(`reading under ${lock.path}`),
 * );
 * ```
 */
export function withLock<T>(
  path: PathLike,
  options: AcquireOptions,
  fn: (lock: FlockHandle) => T | Promise<T>,
): Promise<T>;
/** The same with a lock of the kind that is named. */
export function withLock<T, const Kind extends LockKind>(
  path: PathLike,
  options: AcquireOptionsOf<Kind>,
  fn: (lock: HandleOf<Kind>) => T | Promise<T>,
): Promise<T>;
export async function withLock<T>(
  path: PathLike,
  optionsOrFn: AnyAcquireOptions | LockedWork<T>,
  fn?: LockedWork<T>,
): Promise<T> {
  const [options, work] = optionsAndFunction<AnyAcquireOptions, LockedWork<T>>(
    optionsOrFn,
    fn,
  );
  await using lock: HeldLock | HeldAsyncLock = await acquireAny(path, options);
  return await work(lock as never);
}

type LockedWork<T> = (lock: never) => T | Promise<T>;
