/**
 * Locks by hard link, for where flock(2) can't be trusted, such as NFS: taking
 * one with a deadline, and everything else about them.
 *
 * ```ts
 * import { acquireLinkLock } from "@holdfast/holdfast/link-lock";
 *
 * using lock = await acquireLinkLock("/tmp/holdfast-example.link", {
 *   timeoutMs: 5000,
 *   message: "nightly job",
 * });
 * console.log(`holder number ${lock.fence}`);
 * ```
 *
 * Permissions: `--allow-read` and `--allow-write` for the lock's directory,
 * and `--allow-ffi` to tell whether an owner is alive. Without the last, give
 * `--allow-sys=hostname,uid` and `--allow-read=/etc/machine-id` to be named to
 * others; locks are then taken and released, but none is ever found stale.
 *
 * @module
 */

import {
  formatLinkOwnerLine,
  judgeLinkOwner,
  type LinkLockHandle,
  type LinkLockOptions,
  type LinkLockOwner,
  readLinkLockOwner,
} from "../lock/link/mod.ts";
import { LinkLockAttempt } from "../lock/link/attempt.ts";
import { quotePath } from "../proc/printable.ts";
import { attemptUntil, type WaitOptions } from "../wait/attempt_loop.ts";
import { checkCallbacks, checkFunction } from "../lock/check.ts";
import { type LockPath, type PathLike, toLockPath } from "../lock/lock_path.ts";
import { hasFfi } from "../sys/process/environment.ts";
import { dirname } from "../sys/path_parts.ts";
import { LockTimeoutError } from "../wait/lock_timeout_error.ts";
import { pollingWake, type WakeSource } from "../wait/wake.ts";
import { mayBeNested, type NestedOptions, rejectWaitFor } from "./nested.ts";

export * from "../lock/link/mod.ts";
export type { HeldLock } from "../lock/held_lock.ts";
export type { WaitOptions } from "../wait/attempt_loop.ts";
export { LockError } from "../sys/error.ts";
export {
  type LockTimeout,
  LockTimeoutError,
} from "../wait/lock_timeout_error.ts";

/** How {@linkcode acquireLinkLock} takes a lock and waits for it. */
export interface AcquireLinkLockOptions
  extends LinkLockOptions, WaitOptions, NestedOptions {
  /** Called once, when the lock is found busy and the wait begins. */
  onWait?: (() => void) | undefined;
}

/** A link lock stayed busy until the deadline. */
export class LinkLockTimeoutError extends LockTimeoutError {
  /** The name of the class. */
  override name = "LinkLockTimeoutError";
  /** Who held it just after the deadline. */
  readonly owner: LinkLockOwner | undefined;

  /** Made by `acquireLinkLock`. */
  constructor(
    path: string,
    waitedMs: number,
    owner: LinkLockOwner | undefined,
  ) {
    const waited = waitedMs === 0
      ? "is held by somebody else"
      : `was still held after ${Math.ceil(waitedMs)} ms`;
    super(
      `Cannot take link lock ${quotePath(path)}: it ${waited}; ` +
        (owner === undefined
          ? "it has just been released"
          : `held by ${formatLinkOwnerLine(owner)}`),
      { path, waitedMs },
    );
    this.owner = owner;
  }
}

async function wakeFor({ absolute }: LockPath): Promise<WakeSource> {
  // What tells of events takes libc.
  if (!hasFfi()) return pollingWake();
  const { eventWake } = await import("../wait/event_wake.ts");
  // What goes away from its directory when the lock is released.
  const target = {
    directory: dirname(absolute),
    entry: absolute.slice(absolute.lastIndexOf("/") + 1),
  };
  // Another host's release, or a lease that ends, raises no event.
  return eventWake(() => [target], { mostlySilent: true });
}

/**
 * Takes a link lock, waiting until it is free, its owner is proved dead, the
 * time is up or the signal aborts. It is tried again after a random time of
 * at most 100 ms.
 *
 * Permissions: `--allow-read`, `--allow-write` and `--allow-ffi`; see the top
 * of this module for what goes without the last.
 *
 * @param path The lock, as for `tryLinkLock`.
 * @param options What to tell others, lease, `timeoutMs`, `signal`, `onWait`.
 * @returns The held lock; `using` releases it at the end of the block.
 * @throws {LinkLockTimeoutError} when it was busy until the deadline; it names
 * the owner.
 * @throws {SelfDeadlockError} when it would wait without end, for an ancestor
 * that waits for this process; see `allowNested`.
 * @throws {ForeignLinkLockError} when something else stands at the path.
 * @throws {RangeError} when `timeoutMs` is negative or not a number.
 * @throws `signal.reason` when the signal aborts.
 *
 * @example
 * ```ts
 * import { acquireLinkLock } from "@holdfast/holdfast/link-lock";
 *
 * using lock = await acquireLinkLock("/tmp/holdfast-example.link", {
 *   timeoutMs: 5000,
 * });
 * console.log(`holding ${lock.path}`);
 * ```
 */
export async function acquireLinkLock(
  path: PathLike,
  options: AcquireLinkLockOptions = {},
): Promise<LinkLockHandle> {
  const file = toLockPath(path);
  const attempt = new LinkLockAttempt(file, options);
  checkCallbacks(options, "onWait");
  const { value: lock, waitedMs } = await attemptUntil(() => attempt.try(), {
    timeoutMs: options.timeoutMs,
    signal: options.signal,
    wake: async () => {
      if (mayBeNested(options)) await rejectNestedLink(file);
      return await wakeFor(file);
    },
    onBusy: options.onWait,
  });
  if (lock !== undefined) return lock;
  const owner = readLinkLockOwner(file.absolute);
  throw new LinkLockTimeoutError(file.given, waitedMs, owner);
}

async function rejectNestedLink(file: LockPath): Promise<void> {
  const owner = readLinkLockOwner(file.absolute);
  if (owner === undefined || judgeLinkOwner(owner).liveness !== "alive") return;
  await rejectWaitFor(file, [owner.pid]);
}

/**
 * Runs a function while holding a link lock, and releases the lock when the
 * function returns or throws.
 *
 * Permissions and errors as for {@linkcode acquireLinkLock}.
 *
 * @param path The lock.
 * @param options How to take the lock.
 * @param fn Runs once the lock is held.
 * @returns What `fn` returns.
 *
 * @example
 * ```ts
 * import { withLinkLock } from "@holdfast/holdfast/link-lock";
 *
 * const answer = await withLinkLock(
 *   "/tmp/holdfast-example.link",
 *   { timeoutMs: 5000 },
 *   () => 42,
 * );
 * console.log(answer);
 * ```
 */
export async function withLinkLock<T>(
  path: PathLike,
  options: AcquireLinkLockOptions,
  fn: (lock: LinkLockHandle) => T | Promise<T>,
): Promise<T> {
  checkFunction(fn, "fn");
  using lock = await acquireLinkLock(path, options);
  return await fn(lock);
}
