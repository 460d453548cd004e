/**
 * Waiting for locks, as everything in this layer does it.
 *
 * @module
 */

import type { HolderInfo } from "../inspect/holder.ts";
import type { FlockAttempt, LockMode } from "../lock/flock/flock.ts";
import { checkCallbacks, checkOptions } from "../lock/check.ts";
import { type LockPath, type PathLike, toLockPath } from "../lock/lock_path.ts";
import {
  attemptUntil,
  checkTimeout,
  type WaitOptions,
} from "../wait/attempt_loop.ts";
import { systemClock } from "../wait/clock.ts";
import type { WaitableAttempt } from "../wait/lock_wake.ts";
import type { WakeSource } from "../wait/wake.ts";
import { flockAttempt, type FlockAttemptOptions } from "./flock_attempt.ts";
import { readHoldersOf } from "./holders.ts";
import { type NestedOptions, rejectNestedWait } from "./nested.ts";

/** What is checked and created before a lock file is locked. */
export interface CoordOptions extends WaitOptions, NestedOptions {
  /** Create missing parent directories of the lock file. */
  createParents?: boolean | undefined;
  /** Lock even on a network, cluster or FUSE filesystem. */
  allowRemote?: boolean | undefined;
  /** Called once, when a lock is found busy and a wait begins. */
  onWait?: ((info: BusyInfo) => void) | undefined;
}

/** A wait that begins. */
export interface Wait {
  /** The file to name to the user. */
  path: LockPath | string;
  /** The lock that is waited for, where that is one and the kernel's. */
  attempt: WaitableAttempt<unknown> | undefined;
  /** Makes what wakes a program that has other things to do meanwhile. */
  wake(): Promise<WakeSource>;
}

/** What `holdfast run` asks of the engine besides. */
export interface EngineOptions extends CoordOptions {
  /** Makes what wakes each wait, in place of the library's own way. */
  waitBy?: ((wait: Wait) => Promise<WakeSource>) | undefined;
}

/** What a caller is told when its wait begins. */
export interface BusyInfo {
  /** The lock file. */
  path: string;
  /** Reads who holds the lock now. */
  readHolders(): Promise<HolderInfo[]>;
}

/** What a wait is for. */
export interface WaitTarget {
  /** The file to name to the caller. */
  path: LockPath | string;
  /** Open descriptors of the files whose release is worth another attempt. */
  fds(): readonly number[];
  /**
   * Refuses the wait when it would never end.
   *
   * @throws {SelfDeadlockError} when it would.
   */
  rejectNested?(): Promise<void>;
}

/**
 * How long a lock that others hold for microseconds is waited for on the spot,
 * whatever the deadline: even an attempt that isn't to wait goes by it.
 */
export const MOMENT_MS = 50;

/** One deadline for several waits that follow each other. */
export class WaitBudget {
  readonly #options: EngineOptions;
  readonly #start = performance.now();
  #waits = 0;

  /**
   * Starts now.
   *
   * @throws {RangeError} when `timeoutMs` is negative or not a number.
   */
  constructor(options: EngineOptions) {
    checkOptions(options);
    checkCallbacks(options, "onWait");
    checkTimeout(options.timeoutMs ?? Infinity);
    this.#options = options;
  }

  /** Milliseconds since the start. */
  get waitedMs(): number {
    return performance.now() - this.#start;
  }

  /** Milliseconds until the deadline. */
  get leftMs(): number {
    const { timeoutMs = Infinity } = this.#options;
    return timeoutMs === 0 ? 0 : Math.max(0, timeoutMs - this.waitedMs);
  }

  /** How often something was busy and had to be waited for. */
  get waits(): number {
    return this.#waits;
  }

  /**
   * Attempts something until it succeeds or the time is up.
   *
   * @param target What is waited for.
   * @param attempt Gives a value when it succeeds, and `undefined` when busy.
   * @returns The value, or `undefined` when the time was up.
   * @throws `signal.reason` when the signal aborts.
   */
  wait<T>(
    target: WaitTarget,
    attempt: () => T | undefined,
  ): Promise<T | undefined> {
    return this.#attempt(attempt, {
      path: target.path,
      attempt: undefined,
      async wake() {
        const { eventWake } = await import("../wait/event_wake.ts");
        return eventWake(() => target.fds().map((fd) => ({ fd })));
      },
    }, async () => await target.rejectNested?.());
  }

  /**
   * Takes a lock; gives `undefined` when the time was up.
   *
   * @param rejectNested Refuses a wait that would never end; by what is in the
   * attempt's way unless given.
   */
  take<T>(
    path: LockPath | string,
    attempt: WaitableAttempt<T>,
    rejectNested: () => Promise<void> = () => this.#rejectNested(path, attempt),
  ): Promise<T | undefined> {
    return this.#attempt(() => attempt.try(), {
      path,
      attempt,
      wake: async () => {
        const { lockWake } = await import("../wait/lock_wake.ts");
        return lockWake(attempt, this.#options);
      },
    }, rejectNested);
  }

  async #attempt<T>(
    attempt: () => T | undefined,
    wait: Wait,
    rejectNested: () => Promise<void>,
  ): Promise<T | undefined> {
    const { signal, onWait, waitBy = (wait) => wait.wake() } = this.#options;
    const { value } = await attemptUntil(attempt, {
      timeoutMs: this.leftMs,
      signal,
      wake: async () => {
        await rejectNested();
        return await waitBy(wait);
      },
      onBusy: () => {
        if (this.#waits++ === 0) onWait?.(busyInfo(wait.path));
      },
    });
    return value;
  }

  async #rejectNested(
    path: LockPath | string,
    { conflict }: WaitableAttempt<unknown>,
  ): Promise<void> {
    if (conflict === undefined) return;
    await rejectNestedWait(path, conflict, this.#options);
  }

  /** Sleeps, but not beyond the deadline. */
  async pause(ms: number): Promise<void> {
    const { signal } = this.#options;
    await systemClock.sleep(Math.min(ms, this.leftMs), signal);
    signal?.throwIfAborted();
  }

  /**
   * The error that names a lock file and its holders.
   *
   * @param holders Who is in the way; everybody with a lock on the file unless
   * given.
   */
  async timeoutError(
    path: LockPath | string,
    holders: () => Promise<HolderInfo[]> = () => readHoldersOf(path),
  ): Promise<Error> {
    const { LockTimeoutError } = await import("../wait/lock_timeout_error.ts");
    const { timeoutMs } = this.#options;
    return new LockTimeoutError(
      toLockPath(path).given,
      timeoutMs === 0 ? 0 : this.waitedMs,
      await holders(),
    );
  }
}

/** What to tell a caller who waits for a lock file. */
export function busyInfo(path: LockPath | string): BusyInfo {
  const file = toLockPath(path);
  return { path: file.given, readHolders: () => readHoldersOf(file) };
}

/** A lock file on its way to being locked, refused where flock is a guess. */
export function openAttempt(
  path: PathLike | LockPath,
  mode: LockMode,
  options: Omit<FlockAttemptOptions, "mode"> = {},
): FlockAttempt {
  return flockAttempt(path, { ...options, mode });
}
