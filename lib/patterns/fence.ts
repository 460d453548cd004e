/**
 * Fences: numbers that rise with each holder of a lock, and what refuses those
 * that come too late.
 *
 * @module
 */

import { type LockWaitOptions, WaitBudget } from "../acquire/budget.ts";
import { flockAttempt } from "../acquire/flock_attempt.ts";
import type { FlockHandle } from "../lock/flock/flock.ts";
import type { HeldLock } from "../lock/held_lock.ts";
import { type LockPath, type PathLike, toLockPath } from "../lock/lock_path.ts";
import { quotePath } from "../proc/printable.ts";
import { LockError, SyscallError } from "../sys/error.ts";
import { sync } from "../sys/storage/content.ts";
import { findPlace, syncDirectory } from "../sys/storage/directory.ts";
import { readState, writeState } from "./state_file.ts";

/** What the state of a lock file with a fence is called. */
const FENCE_KIND = "fence";

/** A fence is lower than one that has been here before: its lock was lost. */
export class StaleFenceError extends LockError {
  /** The name of the class. */
  override name = "StaleFenceError";
  /** The file that is protected. */
  readonly path: string;
  /** The fence that was offered. */
  readonly fence: bigint;
  /** The highest that has been here. */
  readonly highest: bigint;

  /** Made by those who check fences. */
  constructor(path: string, fence: bigint, highest: bigint) {
    super(
      `Cannot change ${quotePath(path)}: fence ${fence} is lower than ` +
        `${highest}, whose holder has been here already; the lock it comes ` +
        "from has been lost",
    );
    this.path = path;
    this.fence = fence;
    this.highest = highest;
  }
}

/** A lock whose every holder has a higher number than the one before. */
export interface FencedLock extends HeldLock {
  /** Rises with each holder; it is kept in the lock file. */
  readonly fence: bigint;
  /** Lets commands started from now on inherit the lock, or not. */
  setInheritable(inheritable: boolean): void;
}

class HeldFencedLock implements FencedLock {
  readonly fence: bigint;
  readonly #lock: FlockHandle;

  constructor(lock: FlockHandle, fence: bigint) {
    this.#lock = lock;
    this.fence = fence;
  }

  get path(): string {
    return this.#lock.path;
  }

  get held(): boolean {
    return this.#lock.held;
  }

  setInheritable(inheritable: boolean): void {
    this.#lock.setInheritable(inheritable);
  }

  release(): void {
    this.#lock.release();
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

/**
 * Takes an exclusive flock(2), and with it a number that is higher than that
 * of every holder before who asked for one. It is kept in the lock file, raised
 * under the lock and on the disk before the lock is handed out, so that it
 * rises across crashes too.
 *
 * What the lock protects can refuse a number lower than the highest it has
 * seen: the one sure protection from a holder that goes on after its lock has
 * ended.
 *
 * Permissions: `--allow-ffi`. See flock(2), fsync(2).
 *
 * @param path The lock file; it must be writable and have no other content.
 * @param options `timeoutMs`, `signal` and others.
 * @returns The held lock, with its `fence`.
 * @throws {LockTimeoutError} when it was busy until the deadline.
 * @throws {LockError} when the file has other content.
 * @throws {SyscallError} when it can't be opened, locked or written.
 * @throws `signal.reason` when the signal aborts.
 *
 * @example
 * ```ts
 * import { acquireFenced } from "@holdfast/holdfast/patterns";
 *
 * using lock = await acquireFenced("/tmp/holdfast-example.fenced.lock");
 * console.log(`holder number ${lock.fence}`);
 * ```
 */
export async function acquireFenced(
  path: PathLike,
  options: LockWaitOptions = {},
): Promise<FencedLock> {
  const file = toLockPath(path);
  const budget = new WaitBudget(options);
  using attempt = flockAttempt(file, { ...options, mode: "exclusive" });
  const lock = await budget.acquire(file, attempt);
  try {
    const last = readFence(lock);
    const fence = (last ?? 0n) + 1n;
    writeFence(lock, fence, last === undefined);
    return new HeldFencedLock(lock, fence);
  } catch (error) {
    lock.release();
    throw error;
  }
}

/**
 * Lets a fence pass if none higher has been here, and remembers it. The highest
 * is kept in a file beside the one that is protected, `FILE.fence`.
 *
 * @param path The file that is protected.
 * @param fence The number of the holder who is about to change it.
 * @throws {StaleFenceError} when a higher one has been here.
 */
export async function passFence(
  path: LockPath,
  fence: bigint,
  options: LockWaitOptions = {},
): Promise<void> {
  const beside = path.plus(".fence");
  const budget = new WaitBudget(options);
  using attempt = flockAttempt(beside, { ...options, mode: "exclusive" });
  using lock = await budget.acquire(beside, attempt);
  const highest = readFence(lock);
  if (highest !== undefined && fence < highest) {
    throw new StaleFenceError(path.given, fence, highest);
  }
  if (fence !== highest) writeFence(lock, fence, highest === undefined);
}

/** The highest fence that a file knows; `undefined` in a new one. */
function readFence({ fd, path }: FlockHandle): bigint | undefined {
  const text = readState(fd, path, FENCE_KIND);
  if (text === undefined) return undefined;
  if (/^\d{1,30}$/.test(text)) return BigInt(text);
  throw new LockError(
    `Cannot read the fence in ${quotePath(path)}: it is damaged; write ` +
      '"holdfast fence 1 NUMBER" there, with a number higher than all before',
  );
}

/** Writes a fence to the disk, and the name of a file that is new. */
function writeFence(
  { fd, path, absolutePath }: FlockHandle,
  fence: bigint,
  isNew: boolean,
): void {
  writeState(fd, path, FENCE_KIND, String(fence));
  const written = sync(fd);
  using place = isNew ? findPlace(fd, absolutePath) : undefined;
  const result = written >= 0 && place !== undefined
    ? syncDirectory(place.dirFd)
    : written;
  if (result >= 0) return;
  throw new SyscallError("keep the fence in", {
    syscall: "fsync",
    errno: -result,
    path,
  });
}
