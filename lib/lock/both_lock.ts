/**
 * flock(2) and an OFD record lock on one file, for a file that some programs
 * lock by flock and others by fcntl, such as a pid file: cron(8) takes a flock
 * on its own, atd(8) a POSIX lock.
 *
 * The second lock is an OFD lock: it and POSIX locks exclude each other, and
 * it isn't lost when this process closes another descriptor of the file.
 *
 * @module
 */

import type { HeldLock, LossWatch, WatchableLock } from "./held_lock.ts";
import {
  blockFlockFd,
  type BlockOptions,
  HeldFlock,
  type LockMode,
  unlockFlockFd,
} from "./flock/flock.ts";
import { flockIfFree } from "./flock/flock_fd.ts";
import { ownFlocks, type OwnLock, ownRanges } from "./own_locks.ts";
import { LockAttempt } from "./lock_attempt.ts";
import { fOfdSetlk, fOfdSetlkw } from "./record/record_lock.ts";
import { rangeToSpan, recordLockRequest } from "./record/byte_span.ts";

/** A held flock and OFD lock on all bytes of one file, by one descriptor. */
export interface BothLockHandle extends HeldLock {
  /** The descriptor that carries both locks. Don't close it. */
  readonly fd: number;
  /** Whether they were taken shared or exclusive. */
  readonly mode: LockMode;
  /** Lets commands started from now on inherit both locks, or not. */
  setInheritable(inheritable: boolean): void;
  /** Releases the OFD lock, then the flock; a second call does nothing. */
  release(): void;
}

/** Both locks, granted to one descriptor. */
class HeldBothLocks implements BothLockHandle, WatchableLock {
  readonly #flock: HeldFlock;
  readonly #range: OwnLock;
  #released = false;

  constructor(flock: HeldFlock) {
    this.#flock = flock;
    this.#range = { fd: flock.fd, mode: flock.mode };
    ownRanges.add(this.#range);
  }

  get path(): string {
    return this.#flock.path;
  }

  get fd(): number {
    return this.#flock.fd;
  }

  get mode(): LockMode {
    return this.#flock.mode;
  }

  get held(): boolean {
    return this.#flock.held;
  }

  get lost(): AbortSignal | undefined {
    return this.#flock.lost;
  }

  watchBy(watch: LossWatch): void {
    this.#flock.watchBy(watch);
  }

  setInheritable(inheritable: boolean): void {
    this.#flock.setInheritable(inheritable);
  }

  release(): void {
    if (this.#released) return;
    this.#released = true;
    ownRanges.delete(this.#range);
    try {
      if (!this.lost?.aborted) {
        fOfdSetlk(this.fd, { type: "unlock" }, { path: this.path });
      }
    } finally {
      this.#flock.release();
    }
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

/**
 * One file on its way to both locks: always the flock first, and never one
 * held while the other is waited for.
 */
export class BothLockAttempt extends LockAttempt {
  /** Other programs unlock a range and keep the file open. */
  readonly isReleasedSilently = true;

  /** What is in its way: locks of every kind. */
  get conflict(): { types: readonly string[]; mode: LockMode } {
    return { types: ["FLOCK", "POSIX", "OFDLCK"], mode: this.mode };
  }

  /** Takes both locks if both are free, else neither. */
  try(): BothLockHandle | undefined {
    return this.lock(({ fd }) =>
      flockIfFree(fd, this.mode, this.path.given) && this.#complete(fd)
        ? new HeldBothLocks(new HeldFlock(this.path, fd, this.mode))
        : undefined
    );
  }

  /**
   * Has this thread sleep in the kernel until the open file has both locks,
   * which {@linkcode BothLockAttempt.try} then gives.
   *
   * @returns Whether it has; `false` after the timeout.
   * @throws {SelfDeadlockError} when it would sleep for ever.
   */
  sleep({ timeoutMs = Infinity, ...options }: BlockOptions): boolean {
    const deadline = performance.now() + timeoutMs;
    const left = () => ({
      ...options,
      timeoutMs: Math.max(0, deadline - performance.now()),
      path: this.path.given,
    });
    const { file, fd } = this;
    const wanted = { mode: this.mode };
    // Not asleep yet, it may have both; and it doesn't sleep behind itself.
    if (flockIfFree(fd, this.mode, this.path.given)) {
      if (this.#complete(fd)) return true;
      ownRanges.rejectSleep(file, this.path.given, wanted, left());
    } else ownFlocks.rejectSleep(file, this.path.given, wanted, left());
    while (blockFlockFd(fd, { ...left(), mode: this.mode })) {
      if (this.#complete(fd)) return true;
      // Waits with neither lock, and gives this one back for the flock.
      if (!fOfdSetlkw(fd, this.#request, left())) return false;
      fOfdSetlk(fd, { type: "unlock" }, { path: this.path.given });
    }
    return false;
  }

  get #request(): ReturnType<typeof recordLockRequest> {
    return recordLockRequest(rangeToSpan(), this.mode);
  }

  /** Adds the OFD lock to the flock, which is given up where it can't be. */
  #complete(fd: number): boolean {
    let isFree = false;
    try {
      isFree = fOfdSetlk(fd, this.#request, { path: this.path.given });
    } finally {
      if (!isFree) unlockFlockFd(fd, { path: this.path.given });
    }
    return isFree;
  }
}
