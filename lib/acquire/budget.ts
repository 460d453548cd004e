/**
 * Waiting for locks, as everything in this layer does it.
 *
 * @module
 */

import type { HolderInfo } from "../inspect/holder.ts";
import { checkCallbacks, checkOptions, checkTimeout } from "../lock/check.ts";
import { type LockPath, toLockPath } from "../lock/lock_path.ts";
import {
  type AttemptLoopOptions,
  attemptUntil,
  type WaitOptions,
} from "../wait/attempt_loop.ts";
import { systemClock } from "../wait/clock.ts";
import type { Conflict, WaitableAttempt } from "../wait/lock_wake.ts";
import type { WakeSource } from "../wait/wake.ts";
import { type NestedOptions, rejectNestedWait } from "./nested.ts";

/** What is created and checked before a file is locked. */
export interface LockFileChecks {
  /** Create missing parent directories of the lock file. */
  createParents?: boolean | undefined;
  /** Lock even on a network, cluster or FUSE filesystem. */
  allowRemote?: boolean | undefined;
}

/** How a lock file is checked and waited for. */
export interface LockWaitOptions
  extends LockFileChecks, WaitOptions, NestedOptions {
  /**
   * Called once, when the lock is found busy and the wait begins. A promise
   * that it returns isn't awaited: handle errors in the function.
   */
  onWait?: ((info: WaitInfo) => void) | undefined;
  /**
   * Called once, when the kernel can't tell when the lock is worth another
   * attempt, so that the wait polls instead: the filesystem is remote, or the
   * limits of inotify(7) are reached.
   */
  onDegraded?: ((reason: Error) => void) | undefined;
}

/** A wait that begins. */
export interface Wait {
  /** The file to name to the user. */
  path: LockPath | string;
  /** The lock that is waited for, if it is a single lock of the kernel's. */
  attempt: WaitableAttempt<unknown> | undefined;
  /** Makes what wakes a program that has other things to do meanwhile. */
  wake(): Promise<WakeSource>;
}

/** What some callers ask of the engine besides. */
export interface EngineOptions extends LockWaitOptions {
  /**
   * Makes what wakes each wait, in place of the library's own way: as for
   * `holdfast run`, which has nothing else to do.
   */
  waitBy?: ((wait: Wait) => Promise<WakeSource>) | undefined;
}

/** What a caller is told when its wait begins. */
export interface WaitInfo {
  /** The lock file. */
  path: string;
  /** Reads who holds the lock now. */
  readHolders(): Promise<HolderInfo[]>;
}

/** Has a caller told of the first of several waits that are one to it. */
export function onFirstWait(
  onWait: LockWaitOptions["onWait"],
): LockWaitOptions["onWait"] {
  let isTold = false;
  return onWait && ((info) => {
    if (isTold) return;
    isTold = true;
    onWait(info);
  });
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
 * How long to wait for a lock that others hold for microseconds only, whatever
 * the deadline: even an attempt that must not wait needs it.
 */
export const MOMENT_MS = 50;

/** How one lock is waited for. */
export interface TakeOptions extends Pick<AttemptLoopOptions, "queue"> {
  /**
   * Refuses a wait that would never end; by what is in the attempt's way unless
   * set.
   *
   * @throws {SelfDeadlockError} when it would.
   */
  rejectNested?: (() => Promise<void>) | undefined;
}

let lockWake: typeof import("../wait/lock_wake.ts").lockWake | undefined;

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
    checkCallbacks(options, "onWait", "onDegraded");
    const { timeoutMs = Infinity } = options;
    checkTimeout(timeoutMs);
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
    const { path, rejectNested } = target;
    const wait: Wait = {
      path,
      attempt: undefined,
      wake: async () => {
        const { eventWake } = await import("../wait/event_wake.ts");
        const { onDegraded } = this.#options;
        return eventWake(() => target.fds().map((fd) => ({ fd })), {
          onDegraded,
        });
      },
    };
    return this.#attempt(attempt, wait, { rejectNested });
  }

  /**
   * Takes a lock.
   *
   * @throws {LockTimeoutError} when it was busy until the deadline; it names
   * the holders.
   * @throws {SelfDeadlockError} when the wait would never end.
   * @throws `signal.reason` when the signal aborts.
   */
  async acquire<T>(
    path: LockPath | string,
    attempt: WaitableAttempt<T>,
    options?: TakeOptions,
  ): Promise<T> {
    const lock = await this.take(path, attempt, options);
    if (lock !== undefined) return lock;
    throw await this.timeoutError(path, attempt);
  }

  /** Takes a lock; gives `undefined` when the time was up. */
  take<T>(
    path: LockPath | string,
    attempt: WaitableAttempt<T>,
    options?: TakeOptions,
  ): Promise<T | undefined> {
    const wait: Wait = {
      path,
      attempt,
      wake: async () => {
        // Loaded once: import() takes longer than many a wait.
        lockWake ??= (await import("../wait/lock_wake.ts")).lockWake;
        return lockWake(attempt, this.#options);
      },
    };
    const taken = this.#attempt(() => attempt.try(), wait, options);
    return this.#mayLose(attempt)
      ? taken.then((lock) => lock && this.watch(lock, attempt))
      : taken;
  }

  /** Has a lock that was taken say when it is lost, where it can be. */
  async watch<T>(lock: T, attempt: WaitableAttempt<T>): Promise<T> {
    if (typeof lock === "object" && lock !== null && this.#mayLose(attempt)) {
      await (await import("./loss.ts")).watchLoss(lock);
    }
    return lock;
  }

  /** Record locks are taken on NFSv4 without being told to. */
  #mayLose({ conflict }: WaitableAttempt<unknown>): boolean {
    return this.#options.allowRemote === true ||
      conflict?.types.includes("FLOCK") === false;
  }

  async #attempt<T>(
    attempt: () => T | undefined,
    wait: Wait,
    { queue, rejectNested = () => this.#rejectNested(wait) }: TakeOptions = {},
  ): Promise<T | undefined> {
    const { signal, onWait, waitBy = (wait) => wait.wake() } = this.#options;
    const { value } = await attemptUntil(attempt, {
      timeoutMs: this.leftMs,
      signal,
      queue,
      wake: async () => {
        await rejectNested();
        return await waitBy(wait);
      },
      onBusy: () => {
        if (this.#waits++ > 0) return;
        onWait?.(waitInfo(wait.path, wait.attempt?.conflict));
      },
    });
    return value;
  }

  async #rejectNested({ path, attempt }: Wait): Promise<void> {
    if (attempt?.conflict === undefined) return;
    await rejectNestedWait(path, attempt.conflict, this.#options);
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
   * @param attempt What was attempted.
   */
  async timeoutError(
    path: LockPath | string,
    attempt?: Pick<WaitableAttempt<unknown>, "conflict">,
  ): Promise<Error> {
    const { busyLockFile } = await import("../wait/busy_lock_file.ts");
    const { timeoutMs } = this.#options;
    const info = waitInfo(path, attempt?.conflict);
    return busyLockFile(
      info.path,
      timeoutMs === 0 ? 0 : this.waitedMs,
      await info.readHolders(),
    );
  }
}

/** What to tell a caller who waits for a lock file. */
export function waitInfo(
  path: LockPath | string,
  conflict?: Conflict,
): WaitInfo {
  const { given, absolute } = toLockPath(path);
  return {
    path: given,
    // Inspection is loaded only when there is somebody to name: an uncontended
    // lock shouldn't pay for it.
    async readHolders() {
      const { readHoldersIfAny } = await import("../inspect/holder.ts");
      const holders = readHoldersIfAny(absolute);
      if (conflict?.span === undefined) return holders;
      const { types, mode, span } = conflict;
      const { excludesRange } = await import("../inspect/range_holders.ts");
      return holders.filter((it) => excludesRange(it, span, mode, types));
    },
  };
}
