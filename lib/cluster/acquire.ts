import type {
  ClusterDiagnosis,
  ClusterEngine,
  ClusterLock,
  ClusterLockRequest,
  ClusterLockStatus,
  EngineOptions,
} from "./engine.ts";
import { optionsAndFunction } from "../lock/check.ts";
import { ClusterLockTimeoutError } from "./errors.ts";
import { openEngine } from "./open_engine.ts";
import { OwningLock } from "./owning_lock.ts";
import { parseClusterUrl } from "./url.ts";

/** How {@linkcode acquireClusterLock} takes a lock and waits for it. */
export interface ClusterAcquireOptions extends ClusterLockRequest {
  /** How to reach the engine and who to be there. */
  readonly engine?: EngineOptions | undefined;
}

/** Where a look at locks of an engine ends, and how the engine is reached. */
export interface ClusterReadOptions {
  /** How to reach the engine and who to be there. */
  readonly engine?: EngineOptions | undefined;
  /** Ends it. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Takes a lock in an engine, waiting in the engine's queue until it is free,
 * the time is up or the signal aborts.
 *
 * The lock is a lease that is renewed while it is held. When it can't be
 * renewed, `lost` aborts some seconds before anybody else can have the lock;
 * what it protects must stop then, and must refuse a `fence` lower than the
 * highest it has seen, since a process that was frozen comes too late.
 *
 * Permissions: `--allow-net` for the engine's servers; to be named to others
 * `--allow-ffi` or `--allow-sys=hostname,uid`; `--allow-read` for certificates
 * and `--allow-env` for the variables that the engine's own tools read.
 *
 * @param url The lock: `etcd://HOST:PORT,HOST/NAME` or
 * `postgres://USER@HOST/DATABASE#NAME`.
 * @param options `timeoutMs` for the wait, `signal`, `ttlMs` and more.
 * @returns The held lock; `await using` releases it at the end of the block.
 * @throws {ClusterLockTimeoutError} when it was busy until the deadline; it
 * names who was there.
 * @throws {ClusterUnreachableError} when the engine can't be reached or used.
 * @throws {ClusterPermissionError} when it refuses this user.
 * @throws {TypeError} when the URL or the mode can't be used.
 * @throws {RangeError} when a number is out of range.
 * @throws `signal.reason` when the signal aborts.
 *
 * @example
 * ```ts
 * import { acquireClusterLock } from "@holdfast/holdfast/cluster";
 *
 * export async function deploy(release: string): Promise<void> {
 *   await using lock = await acquireClusterLock("etcd://db1,db2,db3/deploy", {
 *     timeoutMs: 60_000,
 *   });
 *   await fetch(`https://example.com/${release}`, {
 *     method: "PUT",
 *     headers: { "x-fence": String(lock.fence) },
 *     signal: lock.lost,
 *   });
 * }
 * ```
 */
export async function acquireClusterLock(
  url: string,
  options: ClusterAcquireOptions = {},
): Promise<ClusterLock> {
  const start = performance.now();
  return await withEngine(url, options.engine, async (engine, name, path) => {
    const lock = await engine.acquire(name, options);
    if (lock !== undefined) return new OwningLock(lock, engine);
    const { holders, waiters, note } = await engine.status(name);
    throw new ClusterLockTimeoutError(
      path,
      options.timeoutMs === 0 ? 0 : performance.now() - start,
      [...holders, ...waiters],
      note,
    );
  });
}

/**
 * Takes a lock in an engine if nobody holds it or waits for it.
 *
 * Permissions and errors as for {@linkcode acquireClusterLock}.
 *
 * @param url The lock.
 * @param options How to take it, without a wait.
 * @returns The held lock, or `undefined` when it is busy.
 *
 * @example
 * ```ts
 * import { tryClusterLock } from "@holdfast/holdfast/cluster";
 *
 * export async function nightly(): Promise<void> {
 *   await using lock = await tryClusterLock("etcd://db1,db2,db3/nightly");
 *   if (lock === undefined) console.log("running on another machine");
 * }
 * ```
 */
export async function tryClusterLock(
  url: string,
  options: Omit<ClusterAcquireOptions, "timeoutMs" | "onWait"> = {},
): Promise<ClusterLock | undefined> {
  return await withEngine(url, options.engine, async (engine, name) => {
    const lock = await engine.acquire(name, { ...options, timeoutMs: 0 });
    return lock && new OwningLock(lock, engine);
  });
}

/**
 * Runs a function while holding a lock of an engine, taken without a deadline,
 * and releases the lock when the function returns or throws.
 *
 * Permissions and errors as for {@linkcode acquireClusterLock}.
 *
 * @param url The lock.
 * @param fn Runs once it is held; it is to stop when `lock.lost` aborts.
 * @returns What `fn` returns.
 */
export function withClusterLock<T>(
  url: string,
  fn: (lock: ClusterLock) => T | Promise<T>,
): Promise<T>;
/**
 * Runs a function while holding a lock of an engine, and releases the lock
 * when the function returns or throws.
 *
 * Permissions and errors as for {@linkcode acquireClusterLock}.
 *
 * @param url The lock.
 * @param options How to take it.
 * @param fn Runs once it is held; it is to stop when `lock.lost` aborts.
 * @returns What `fn` returns.
 *
 * @example
 * ```ts
 * import { withClusterLock } from "@holdfast/holdfast/cluster";
 *
 * export function report(): Promise<Response> {
 *   return withClusterLock("etcd://db1/report", ({ lost }) =>
 *     fetch("https://example.com/report", { signal: lost }));
 * }
 * ```
 */
export function withClusterLock<T>(
  url: string,
  options: ClusterAcquireOptions,
  fn: (lock: ClusterLock) => T | Promise<T>,
): Promise<T>;
export async function withClusterLock<T>(
  url: string,
  optionsOrFn:
    | ClusterAcquireOptions
    | ((lock: ClusterLock) => T | Promise<T>),
  fn?: (lock: ClusterLock) => T | Promise<T>,
): Promise<T> {
  const [options, work] = optionsAndFunction<
    ClusterAcquireOptions,
    (lock: ClusterLock) => T | Promise<T>
  >(optionsOrFn, fn);
  await using lock = await acquireClusterLock(url, options);
  return await work(lock);
}

/**
 * Who holds a lock of an engine, and who waits for it.
 *
 * Permissions and errors as for {@linkcode acquireClusterLock}.
 *
 * @param url The lock.
 */
export async function readClusterLock(
  url: string,
  options: ClusterReadOptions = {},
): Promise<ClusterLockStatus> {
  return await closing(url, options, (engine, name) => {
    if (name === "") {
      throw new TypeError(`Cannot read "${url}": it has no name`);
    }
    return engine.status(name, options);
  });
}

/**
 * All locks of an engine that are held, in order of their names.
 *
 * Permissions and errors as for {@linkcode acquireClusterLock}.
 *
 * @param url The engine; with a name, the locks whose names begin so.
 */
export async function listClusterLocks(
  url: string,
  options: ClusterReadOptions = {},
): Promise<ClusterLockStatus[]> {
  return await closing(
    url,
    options,
    (engine, name) => engine.list(name, options),
  );
}

/**
 * Examines an engine: whether locks can be taken there, and what is true of
 * them. What is wrong there is in the result, and not thrown.
 *
 * Permissions: as for {@linkcode acquireClusterLock}.
 *
 * @param url The engine, with the name of a lock or without.
 * @throws {TypeError} when the URL can't be read.
 */
export async function diagnoseCluster(
  url: string,
  options: ClusterReadOptions = {},
): Promise<ClusterDiagnosis> {
  return await closing(url, options, (engine, name) => engine.diagnose(name));
}

async function closing<T>(
  url: string,
  options: ClusterReadOptions,
  use: (engine: ClusterEngine, name: string) => Promise<T>,
): Promise<T> {
  const parsed = parseClusterUrl(url);
  await using engine = await openEngine(parsed, options.engine);
  return await use(engine, parsed.name);
}

/** Opens an engine for a lock, and closes it unless the lock has it now. */
async function withEngine<T>(
  url: string,
  options: EngineOptions | undefined,
  take: (engine: ClusterEngine, name: string, path: string) => Promise<T>,
): Promise<T> {
  const parsed = parseClusterUrl(url);
  const engine = await openEngine(parsed, options);
  let taken: T | undefined;
  try {
    return taken = await take(engine, parsed.name, parsed.text);
  } finally {
    if (taken === undefined) await engine[Symbol.asyncDispose]();
  }
}
