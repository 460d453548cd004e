/**
 * Locks by hard link, for where flock(2) can't be trusted, such as NFS.
 *
 * A lock is a file that is there while it is held. It is made by link(2), with
 * the whole record of its owner already in it; it is removed by its owner, or
 * by others once the owner is proved dead.
 *
 * Permissions: `--allow-read` and `--allow-write` for the lock's directory,
 * and `--allow-ffi` to tell whether an owner is alive. Without the last, locks
 * are taken and released but never broken, and those taken so can only be
 * broken by force or by lease.
 *
 * @module
 */

import { LockCompromisedError } from "../lock_compromised_error.ts";
import type { HeldLock } from "../held_lock.ts";
import { releaseAtExit, stopReleasingAtExit } from "./exit.ts";
import type { LeaseKeeper } from "./lease.ts";
import type { LinkNames } from "./names.ts";
import type { LinkLockOwner } from "./owner.ts";
import {
  carries,
  plainOwner,
  type RemovalIncident,
  removeByClaim,
  removeIfAny,
} from "./protocol.ts";

/** How a link lock is taken. */
export interface LinkLockOptions {
  /** Exclusive, as all link locks are. */
  mode?: "exclusive" | undefined;
  /** Told to those who find the lock held; at most 4096 characters. */
  message?: string | undefined;
  /**
   * Lose the lock after so many milliseconds without a heartbeat, at least
   * 100, so that others can go on when this host vanishes. Heartbeats are
   * made by this process, three times as often.
   */
  leaseMs?: number | undefined;
  /** Take over from an owner whose lease has run out; `false` unless set. */
  breakExpired?: boolean | undefined;
  /** Take over from an owner that is proved dead; `true` unless set. */
  breakStale?: boolean | undefined;
  /**
   * Release it when this process ends: at an exit, an uncaught error, an
   * unhandled rejection, SIGINT, SIGTERM, SIGHUP, or any other signal that
   * ends it, unless the program listened to that one when the lock was taken.
   * The process still ends as it would have. SIGKILL and faults leave the lock
   * to be found stale. `false` unless set.
   */
  releaseOnExit?: boolean | undefined;
  /** Told of a lock that a program outside the protocol has put in the way. */
  onIncident?: ((incident: RemovalIncident) => void) | undefined;
}

/**
 * A held link lock. `using` releases it at the end of the block. A process that
 * ends without releasing it leaves it to be broken by others.
 */
export interface LinkLockHandle extends HeldLock {
  /** What others read about its owner. */
  readonly owner: LinkLockOwner;
  /**
   * The fencing counter: greater than that of every earlier holder. A resource
   * that refuses a lesser one than it has seen is safe from holders who don't
   * know yet that they have lost the lock.
   */
  readonly fence: bigint;
  /** Whether it has neither been released nor, as far as known, lost. */
  readonly held: boolean;
  /** Aborts with a `LockCompromisedError` when the lock is lost. */
  readonly lost: AbortSignal;
  /**
   * Looks at the file whether the lock is still held.
   *
   * @throws {LockCompromisedError} when it has been lost.
   */
  check(): void;
  /**
   * Releases the lock: its file is removed, unless that carries another's
   * lock by now. A second call does nothing.
   *
   * @throws when the file can't be removed; the call can be repeated.
   */
  release(): void;
}

/** A lock whose file is there, with this process's record in it. */
export class HeldLinkLock implements LinkLockHandle {
  readonly path: string;
  readonly owner: LinkLockOwner;
  readonly #names: LinkNames;
  readonly #lost = new AbortController();
  readonly #keeper: LeaseKeeper | undefined;
  #held = true;

  constructor(
    names: LinkNames,
    owner: LinkLockOwner,
    how: {
      keep?: ((onLost: (reason: string) => void) => LeaseKeeper) | undefined;
      releaseOnExit?: boolean | undefined;
    } = {},
  ) {
    this.path = names.given;
    this.owner = owner;
    this.#names = names;
    this.#keeper = how.keep?.((reason) => this.#lose(reason));
    if (how.releaseOnExit) {
      releaseAtExit(
        this,
        (reason) =>
          this.#lost.abort(new LockCompromisedError(this.path, reason)),
      );
    }
  }

  get fence(): bigint {
    return BigInt(this.owner.fence);
  }

  get held(): boolean {
    if (this.#held && this.#keeper?.isAlive === false) {
      this.#lose("its lease ran out");
    }
    return this.#held;
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  check(): void {
    if (this.held && !carries(this.#names, this.owner.token)) {
      this.#lose("its name is gone or carries another lock");
    }
    this.#lost.signal.throwIfAborted();
  }

  #lose(reason: string): void {
    if (!this.#held) return;
    this.#held = false;
    this.#keeper?.[Symbol.dispose]();
    stopReleasingAtExit(this);
    this.#lost.abort(new LockCompromisedError(this.path, reason));
  }

  release(): void {
    if (!this.#held) return;
    this.#keeper?.[Symbol.dispose]();
    const { token, leaseMs } = this.owner;
    if (leaseMs === null) {
      // Nobody else removes the lock of a living owner without a lease.
      if (carries(this.#names, token)) removeIfAny(this.#names.path);
    } else {
      removeByClaim(this.#names, token, plainOwner(), () => true);
    }
    this.#held = false;
    stopReleasingAtExit(this);
  }

  [Symbol.dispose](): void {
    this.release();
  }
}
