/**
 * Taking a link lock with a deadline.
 *
 * @module
 */

import { LinkLockAttempt } from "../lock/link/attempt.ts";
import type {
  LinkLockHandle,
  LinkLockOptions,
} from "../lock/link/link_lock.ts";
import {
  formatLinkOwnerLine,
  judgeLinkOwner,
  type LinkLockOwner,
} from "../lock/link/owner.ts";
import { readLinkLockOwner } from "../lock/link/stored_owner.ts";
import type { HolderInfo } from "../inspect/holder.ts";
import { printable, quotePath } from "../proc/printable.ts";
import { attemptUntil, type WaitOptions } from "../wait/attempt_loop.ts";
import { checkCallbacks, optionsAndFunction } from "../lock/check.ts";
import { type LockPath, type PathLike, toLockPath } from "../lock/lock_path.ts";
import { hasFfi } from "../sys/process/environment.ts";
import { dirname } from "../sys/path_parts.ts";
import { heldFor, LockTimeoutError } from "../wait/lock_timeout_error.ts";
import { pollingWake, type WakeSource } from "../wait/wake.ts";
import type { WaitInfo } from "./budget.ts";
import { mayBeNested, type NestedOptions, rejectWaitFor } from "./nested.ts";

/** How {@linkcode acquireLinkLock} takes a lock and waits for it. */
export interface AcquireLinkLockOptions
  extends LinkLockOptions, WaitOptions, NestedOptions {
  /** Called once, when the lock is found busy and the wait begins. */
  onWait?: ((info: LinkWaitInfo) => void) | undefined;
}

/** What a caller is told when its wait for a link lock begins. */
export interface LinkWaitInfo extends WaitInfo {
  /** Reads who holds the lock now; `undefined` when it is free. */
  readOwner(): LinkLockOwner | undefined;
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
    super(
      `Cannot take link lock ${quotePath(path)}: it ${heldFor(waitedMs)}; ` +
        (owner === undefined
          ? "it has just been released"
          : `held by ${formatLinkOwnerLine(owner)}`),
      { path, waitedMs, holders: holdersOf(owner) },
    );
    this.owner = owner;
  }
}

/** An owner as a holder of the kernel's locks is described. */
function holdersOf(owner: LinkLockOwner | undefined): HolderInfo[] {
  if (owner === undefined) return [];
  // Only a process of this host can be known to be alive.
  const isHere = judgeLinkOwner(owner).liveness === "alive";
  return [{
    pid: isHere ? owner.pid : undefined,
    command: isHere && owner.command !== null
      ? printable(owner.command)
      : formatLinkOwnerLine(owner),
    user: owner.user ?? undefined,
    startTimeMs: undefined,
    type: "LINK",
    mode: "WRITE",
    startByte: 0n,
    endByte: undefined,
    sources: ["taker"],
  }];
}

function waitInfoOf({ given, absolute }: LockPath): LinkWaitInfo {
  const readOwner = () => readLinkLockOwner(absolute);
  return {
    path: given,
    readOwner,
    readHolders: () => Promise.resolve(holdersOf(readOwner())),
  };
}

async function wakeFor({ absolute }: LockPath): Promise<WakeSource> {
  // Events need libc.
  if (!hasFfi()) return pollingWake();
  const { eventWake } = await import("../wait/event_wake.ts");
  // The entry that its directory loses when the lock is released.
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
  return await acquireLink(toLockPath(path), options);
}

/** The same of a path that means one file. */
export async function acquireLink(
  file: LockPath,
  options: AcquireLinkLockOptions,
): Promise<LinkLockHandle> {
  const attempt = new LinkLockAttempt(file, options);
  checkCallbacks(options, "onWait");
  const { value: lock, waitedMs } = await attemptUntil(() => attempt.try(), {
    timeoutMs: options.timeoutMs,
    signal: options.signal,
    wake: async () => {
      if (mayBeNested(options)) await rejectNestedLink(file);
      return await wakeFor(file);
    },
    onBusy: () => options.onWait?.(waitInfoOf(file)),
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
 * Runs a function while holding a link lock, taken without a deadline, and
 * releases the lock when the function returns or throws.
 *
 * Permissions and errors as for {@linkcode acquireLinkLock}.
 *
 * @param path The lock.
 * @param fn Runs once the lock is held.
 * @returns What `fn` returns.
 */
export function withLinkLock<T>(
  path: PathLike,
  fn: (lock: LinkLockHandle) => T | Promise<T>,
): Promise<T>;
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
export function withLinkLock<T>(
  path: PathLike,
  options: AcquireLinkLockOptions,
  fn: (lock: LinkLockHandle) => T | Promise<T>,
): Promise<T>;
export async function withLinkLock<T>(
  path: PathLike,
  optionsOrFn:
    | AcquireLinkLockOptions
    | ((lock: LinkLockHandle) => T | Promise<T>),
  fn?: (lock: LinkLockHandle) => T | Promise<T>,
): Promise<T> {
  const [options, work] = optionsAndFunction<
    AcquireLinkLockOptions,
    (lock: LinkLockHandle) => T | Promise<T>
  >(optionsOrFn, fn);
  using lock = await acquireLinkLock(path, options);
  return await work(lock);
}
