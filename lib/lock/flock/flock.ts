/**
 * Whole-file locks by flock(2).
 *
 * @module
 */

import { closeFile } from "../../sys/file.ts";
import { setDescriptorInheritable } from "../../sys/process/descriptors.ts";
import { parkFlock, unflock } from "../../sys/lock/flock.ts";
import {
  closeElsewhere,
  type ParkedCall,
} from "../../sys/thread/parked_call.ts";
import { ownFlocks } from "../own_locks.ts";
import { checkOptions, checkTimeout } from "../check.ts";
import type { HeldLock, LossWatch, WatchableLock } from "../held_lock.ts";
import type { OpenedLockFile } from "../lock_file.ts";
import type { LockPath, PathLike } from "../lock_path.ts";
import { LockAttempt, type LockFileOptions } from "../lock_attempt.ts";
import {
  blockFlockFd,
  type BlockOptions,
  flockIfFree,
  type LockMode,
  tryFlockFd,
} from "./flock_fd.ts";

export {
  blockFlockFd,
  type BlockOptions,
  checkMode,
  type DescriptorOptions,
  type FlockFdOptions,
  type LockMode,
  tryFlockFd,
  unlockFlockFd,
} from "./flock_fd.ts";

/** Which flock is taken, and how its file is opened. */
export interface FlockOptions extends LockFileOptions {
  /** Shared or exclusive; exclusive unless set. */
  mode?: LockMode | undefined;
}

/**
 * A held flock(2). `using` releases it at the end of the block; so does the
 * end of the process, however it ends.
 *
 * The lock belongs to the open file description: it lasts until it is released
 * here or every descriptor of that description is closed.
 */
export interface FlockHandle extends HeldLock {
  /** The path from the root, wherever this process has gone since. */
  readonly absolutePath: string;
  /** The descriptor that carries the lock. Don't close it. */
  readonly fd: number;
  /** Whether it is shared or exclusive. */
  readonly mode: LockMode;
  /** Whether it has been neither released nor lost, as in a conversion. */
  readonly held: boolean;
  /**
   * Aborts when the lock is lost before its release: where the server of a
   * filesystem gives it to others, once it hasn't heard of this host for too
   * long. Only `acquire` with `allowRemote` on NFSv4 and Ceph looks after that;
   * absent elsewhere.
   */
  readonly lost?: AbortSignal | undefined;
  /**
   * Converts the lock without waiting. The kernel gives up the old lock before
   * it looks whether the new one is free: if it is not, none is held.
   *
   * @param mode What it is to become.
   * @returns Whether it is held now, as `mode`.
   * @throws {SyscallError} when the kernel can't do it.
   * @throws {TypeError} when it has been released.
   */
  tryConvert(mode: LockMode): boolean;
  /**
   * Lets commands started from now on inherit the descriptor, or not. While
   * such a command or its children live, they keep the lock alive even if
   * this process dies; {@linkcode FlockHandle.release} ends it for all.
   *
   * @throws {SyscallError} when the descriptor is closed.
   */
  setInheritable(inheritable: boolean): void;
  /**
   * Releases the lock and closes the descriptor; the lock file stays, since a
   * waiter may already have it open. A second call does nothing.
   */
  release(): void;
}

/** A lock that the kernel has granted to a descriptor. */
export class HeldFlock implements FlockHandle, WatchableLock {
  readonly path: string;
  readonly absolutePath: string;
  readonly fd: number;
  #mode: LockMode;
  #held = true;
  #open = true;
  #watch: LossWatch | undefined;

  /** Owns the descriptor from now on. */
  constructor(path: LockPath, fd: number, mode: LockMode) {
    this.path = path.given;
    this.absolutePath = path.absolute;
    this.fd = fd;
    this.#mode = mode;
    ownFlocks.add(this);
  }

  get mode(): LockMode {
    return this.#mode;
  }

  get held(): boolean {
    return this.#held && this.#watch?.held !== false;
  }

  get lost(): AbortSignal | undefined {
    return this.#watch?.lost;
  }

  watchBy(watch: LossWatch): void {
    this.#watch = watch;
  }

  tryConvert(mode: LockMode): boolean {
    if (!this.#open) throw new TypeError("The lock has been released");
    if (this.#held && mode === this.#mode) return true;
    this.#held = tryFlockFd(this.fd, { mode, path: this.path });
    if (this.#held) this.#mode = mode;
    return this.#held;
  }

  setInheritable(inheritable: boolean): void {
    setDescriptorInheritable(this.fd, inheritable, this.path);
  }

  release(): void {
    if (!this.#open) return;
    this.#open = this.#held = false;
    ownFlocks.delete(this);
    this.#watch?.end();
    // A server that can't be reached would hold this thread up.
    if (this.#watch?.lost.aborted) return void closeElsewhere(this.fd);
    // Unlocking first ends the lock even where a child has inherited it.
    unflock(this.fd);
    closeFile(this.fd);
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

/**
 * One lock file on its way to being locked. It stays open between attempts,
 * and is opened anew when the name has come to mean another file.
 */
export class FlockAttempt extends LockAttempt {
  /** What is in its way: other programs' locks of the same kind. */
  get conflict(): { types: readonly string[]; mode: LockMode } {
    return { types: ["FLOCK"], mode: this.mode };
  }

  /** Takes the lock if it is free; the handle then owns the descriptor. */
  try(): FlockHandle | undefined {
    return this.lock(({ fd }) =>
      this.#handleIf(flockIfFree(fd, this.mode, this.path.given), fd)
    );
  }

  /**
   * Waits in the kernel for the lock, on a thread of its own. Once the call has
   * succeeded the lock is held by the open file: {@linkcode FlockAttempt.try}
   * gives its handle, disposing of the attempt gives it up.
   *
   * @returns The waiting call; `undefined` when it can't be parked.
   */
  park(): ParkedCall | undefined {
    const { fd } = this;
    const call = parkFlock(fd, this.mode);
    if (call !== undefined) {
      ownFlocks.addWait({ fd, mode: this.mode }, call.ended);
    }
    return call;
  }

  /**
   * Has this thread sleep in the kernel until the open file has the lock, as
   * {@linkcode FlockAttempt.park} does with another one.
   *
   * @returns Whether it has; `false` after the timeout.
   * @throws {SelfDeadlockError} when it would sleep for ever.
   */
  sleep(options: BlockOptions): boolean {
    return this.#sleepOn(this.file, options);
  }

  #sleepOn(file: OpenedLockFile, options: BlockOptions): boolean {
    const [mode, path] = [this.mode, this.path.given];
    if (flockIfFree(file.fd, mode, path)) return true;
    ownFlocks.rejectSleep(file, path, { mode }, options);
    return blockFlockFd(file.fd, { ...options, mode, path });
  }

  /**
   * Waits in the kernel for the lock; `undefined` after the timeout.
   *
   * @throws {SelfDeadlockError} when it would sleep for ever.
   */
  block(options: BlockOptions): FlockHandle | undefined {
    const { timeoutMs = Infinity } = options;
    checkTimeout(timeoutMs);
    const deadline = performance.now() + timeoutMs;
    return this.lock((file) => {
      const isHeld = this.#sleepOn(file, {
        ...options,
        timeoutMs: Math.max(0, deadline - performance.now()),
      });
      return this.#handleIf(isHeld, file.fd);
    });
  }

  #handleIf(isHeld: boolean, fd: number): FlockHandle | undefined {
    return isHeld ? new HeldFlock(this.path, fd, this.mode) : undefined;
  }
}

/**
 * Takes a flock(2) on a file if it is free: the bare primitive.
 *
 * Creates the file if need be. Doesn't look at the filesystem: `tryAcquire`
 * also refuses those where flock can't be relied on.
 *
 * Permissions: `--allow-ffi`. See flock(2).
 *
 * @param path The lock file.
 * @param options `mode`, and how to open the file.
 * @returns The held lock, or `undefined` when somebody else holds it.
 * @throws {SyscallError} when it can't be opened or locked.
 * @throws {TypeError} when an argument is of the wrong type.
 *
 * @example
 * ```ts
 * import { tryFlock } from "@holdfast/holdfast/flock";
 *
 * using lock = tryFlock("/tmp/holdfast-example.lock");
 * console.log(lock ? "got it" : "busy");
 * ```
 */
export function tryFlock(
  path: PathLike,
  options: FlockOptions = {},
): FlockHandle | undefined {
  // `using` costs as much as a system call here.
  const attempt = flockAttemptOf(path, options);
  try {
    return attempt.try();
  } finally {
    attempt[Symbol.dispose]();
  }
}

/**
 * Takes a flock(2) on a file, asleep in the kernel until it is free.
 *
 * The whole thread sleeps: no timer, promise or signal listener of this
 * process runs meanwhile. That makes it the fastest wait for a program that
 * has nothing else to do; others want `acquire`.
 *
 * Permissions: `--allow-ffi`. See flock(2).
 *
 * @param path The lock file.
 * @param options `mode`, how to open the file, and `timeoutMs` to give up.
 * @returns The held lock, or `undefined` when the time was up.
 * @throws {SelfDeadlockError} when it would sleep without end for a lock that
 * this isolate holds, or waits for; see `allowNested`.
 * @throws {SyscallError} when it can't be opened or locked.
 * @throws {RangeError} when `timeoutMs` is negative or not a number.
 *
 * @example
 * ```ts
 * import { blockFlock } from "@holdfast/holdfast/flock";
 *
 * using lock = blockFlock("/tmp/holdfast-example.lock", {
 *   timeoutMs: 5000,
 * });
 * if (lock === undefined) console.log("still busy after 5 s");
 * ```
 */
export function blockFlock(
  path: PathLike,
  options: FlockOptions & BlockOptions = {},
): FlockHandle | undefined {
  using attempt = flockAttemptOf(path, options);
  return attempt.block(options);
}

function flockAttemptOf(path: PathLike, options: FlockOptions): FlockAttempt {
  checkOptions(options);
  return new FlockAttempt(path, options.mode ?? "exclusive", options);
}
