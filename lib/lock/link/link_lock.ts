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

import { isOwnIdentity } from "../../sys/identity.ts";
import { LockError } from "../../sys/error.ts";
import { quotePath } from "../../proc/printable.ts";
import type { HeldLock } from "../held_lock.ts";
import { releaseAtExit, stopReleasingAtExit } from "./exit.ts";
import {
  isLeaseOver,
  LeaseKeeper,
  MIN_LEASE_MS,
  openForBeats,
  readClocks,
  readServerClock,
} from "./lease.ts";
import {
  formatLinkOwnerLine,
  judgeLinkOwner,
  type LinkLockOwner,
  MAX_MESSAGE_LENGTH,
  readStoredOwner,
  type StoredOwner,
} from "./owner.ts";
import {
  carries,
  commitFence,
  linkCandidate,
  LinkNames,
  newOwner,
  readLastFence,
  type RemovalIncident,
  type RemovalOutcome,
  removeByClaim,
  removeIfAny,
  writeCandidate,
} from "./protocol.ts";
import { LockCompromisedError } from "../lock_compromised_error.ts";

export { LockCompromisedError } from "../lock_compromised_error.ts";
export {
  ForeignLinkLockError,
  formatLinkOwnerLine,
  judgeLinkOwner,
  type LinkLockOwner,
  readLinkLockMessage,
  readLinkLockOwner,
} from "./owner.ts";
export { sweepLinkLock, type SweptFile } from "./sweep.ts";
export type { RemovalIncident } from "./protocol.ts";
export type {
  Liveness,
  LivenessVerdict,
  ProcessIdentity,
} from "../../sys/identity.ts";

/** How a link lock is taken. */
export interface LinkLockOptions {
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
   * Release it when this process exits, and on SIGINT, SIGTERM and SIGHUP,
   * which then end the process as ever; `false` unless set.
   */
  releaseOnExit?: boolean | undefined;
  /** Told of a lock that a program outside the protocol has put in the way. */
  onIncident?: ((incident: RemovalIncident) => void) | undefined;
}

/**
 * A held link lock. `using` releases it at the end of the block. A process that
 * ends without releasing it leaves it to be broken by others.
 */
export class LinkLock implements HeldLock {
  /** The path it was taken by. */
  readonly path: string;
  /** What others read about its owner. */
  readonly owner: LinkLockOwner;
  readonly #names: LinkNames;
  readonly #lost = new AbortController();
  readonly #keeper: LeaseKeeper | undefined;
  #held = true;

  /** Made by `tryLinkLock` and `acquireLinkLock`, which hold the lock. */
  constructor(
    names: LinkNames,
    owner: LinkLockOwner,
    keep?: (onLost: (reason: string) => void) => LeaseKeeper,
  ) {
    this.path = names.path;
    this.owner = owner;
    this.#names = names;
    this.#keeper = keep?.((reason) => this.#lose(reason));
  }

  /**
   * The fencing counter: greater than that of every earlier holder. A resource
   * that refuses a lesser one than it has seen is safe from holders who don't
   * know yet that they have lost the lock.
   */
  get fence(): number {
    return this.owner.fence;
  }

  /** Whether it has neither been released nor, as far as known, lost. */
  get held(): boolean {
    if (this.#held && this.#keeper?.isAlive === false) {
      this.#lose("its lease ran out");
    }
    return this.#held;
  }

  /** Aborts with a `LockCompromisedError` when a lease is lost. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /**
   * Looks at the file whether the lock is still held.
   *
   * @throws {LockCompromisedError} when it has been lost.
   */
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

  /**
   * Releases the lock: its file is removed, unless that carries another's
   * lock by now. A second call does nothing.
   *
   * @throws when the file can't be removed; the call can be repeated.
   */
  release(): void {
    if (!this.#held) return;
    this.#keeper?.[Symbol.dispose]();
    const { token, leaseMs } = this.owner;
    if (leaseMs === null) {
      // Nobody else removes the lock of a living owner without a lease.
      if (carries(this.#names, token)) removeIfAny(this.path);
    } else {
      removeByClaim(this.#names, token, plainOwner(), () => true);
    }
    this.#held = false;
    stopReleasingAtExit(this);
  }

  /** Releases the lock; see {@linkcode LinkLock.release}. */
  [Symbol.dispose](): void {
    this.release();
  }
}

/** A record that only says who this process is. */
function plainOwner(): LinkLockOwner {
  return newOwner({ fence: 1, message: null, leaseMs: null });
}

/** Takings of the same counter by others in a row, before giving way. */
const MAX_OVERTAKEN = 20;

/** One link lock on its way to being taken. */
export class LinkLockAttempt {
  readonly #names: LinkNames;
  readonly #options: LinkLockOptions;
  #nextClockMs = 0;

  /**
   * Touches nothing yet.
   *
   * @throws {TypeError} when the path names no file.
   * @throws {RangeError} when the lease is too short or the message too long.
   */
  constructor(path: string, options: LinkLockOptions = {}) {
    this.#names = new LinkNames(path);
    this.#options = options;
    const { leaseMs, message } = options;
    if (leaseMs !== undefined && !(leaseMs >= MIN_LEASE_MS)) {
      throw new RangeError(
        `leaseMs must be ${MIN_LEASE_MS} or more milliseconds, got ${leaseMs}`,
      );
    }
    if (message !== undefined && message.length > MAX_MESSAGE_LENGTH) {
      throw new RangeError(
        `message must be at most ${MAX_MESSAGE_LENGTH} characters, ` +
          `got ${message.length}`,
      );
    }
  }

  /** Takes the lock if it is free or its owner is gone. */
  try(): LinkLock | undefined {
    const stored = readStoredOwner(this.#names.path);
    if (stored !== undefined && !this.#clear(stored)) return undefined;
    for (let overtaken = 0; overtaken < MAX_OVERTAKEN; overtaken++) {
      const result = this.#take();
      if (result !== "overtaken") return result;
    }
    return undefined;
  }

  /** Whether the lock that was in the way is so no longer. */
  #clear(stored: StoredOwner): boolean {
    const { breakStale = true, breakExpired = false, onIncident } =
      this.#options;
    const isDead = (found: StoredOwner) =>
      judgeLinkOwner(found.owner).liveness === "dead";
    let outcome: RemovalOutcome = "kept";
    if (breakStale && isDead(stored)) {
      outcome = this.#remove(stored, isDead, onIncident);
    } else if (breakExpired && stored.owner.leaseMs !== null) {
      const serverNowMs = this.#serverClock(stored.owner.leaseMs);
      const isOver = (found: StoredOwner) =>
        serverNowMs !== undefined && isLeaseOver(found, serverNowMs);
      if (isOver(stored)) outcome = this.#remove(stored, isOver, onIncident);
    }
    return outcome === "removed" || outcome === "changed";
  }

  #remove(
    stored: StoredOwner,
    stillWanted: (stored: StoredOwner) => boolean,
    onIncident: LinkLockOptions["onIncident"],
  ): RemovalOutcome {
    return removeByClaim(
      this.#names,
      stored.owner.token,
      plainOwner(),
      stillWanted,
      onIncident,
    );
  }

  /** Asking the server takes a written file: not at every attempt. */
  #serverClock(leaseMs: number): number | undefined {
    const now = performance.now();
    if (now < this.#nextClockMs) return undefined;
    this.#nextClockMs = now + leaseMs / 10;
    return readServerClock(this.#names);
  }

  #take(): LinkLock | undefined | "overtaken" {
    const names = this.#names;
    const { message = null, leaseMs = null, releaseOnExit = false } =
      this.#options;
    const takenAt = readClocks();
    const owner = newOwner({
      fence: readLastFence(names) + 1,
      message,
      leaseMs,
    });
    const candidate = names.candidate(owner.token);
    writeCandidate(names, owner);
    let file: Deno.FsFile | undefined;
    let linked = false;
    let done = false;
    try {
      if (leaseMs !== null) file = openForBeats(candidate, names.path);
      linked = linkCandidate(candidate, names.path);
      if (!linked) return undefined;
      if (!commitFence(names, owner)) return "overtaken";
      const lock = new LinkLock(
        names,
        owner,
        file && leaseMs !== null
          ? (onLost) =>
            new LeaseKeeper(
              names,
              owner.token,
              leaseMs,
              file!,
              takenAt,
              onLost,
            )
          : undefined,
      );
      if (releaseOnExit) releaseAtExit(lock);
      done = true;
      return lock;
    } finally {
      if (!done) {
        file?.close();
        if (linked) new LinkLock(names, owner).release();
        removeIfAny(candidate);
      }
    }
  }
}

/**
 * Takes a link lock if it is free, or if its owner is proved dead.
 *
 * Permissions: `--allow-read`, `--allow-write` and `--allow-ffi`; see the top
 * of this module for what goes without the last. See link(2).
 *
 * @param path The lock: a file that is there exactly while it is held. Its
 * directory must let this user create, rename and remove files.
 * @param options What to tell others, lease, and whom to take over from.
 * @returns The held lock, or `undefined` when somebody else holds it.
 * @throws {ForeignLinkLockError} when something else stands at the path.
 * @throws {TypeError | RangeError} when an argument makes no sense.
 *
 * @example
 * ```ts
 * import { tryLinkLock } from "@holdfast/holdfast/link-lock";
 *
 * using lock = tryLinkLock("/tmp/holdfast-example.link");
 * console.log(lock ? `holder number ${lock.fence}` : "busy");
 * ```
 */
export function tryLinkLock(
  path: string,
  options: LinkLockOptions = {},
): LinkLock | undefined {
  return new LinkLockAttempt(path, options).try();
}

/**
 * Removes a link lock whose owner can be verified: this very process, or a
 * process proved dead.
 *
 * Permissions as for {@linkcode tryLinkLock}.
 *
 * @param path The lock.
 * @returns Whether a lock was removed; `false` when there was none any more.
 * @throws {LockError} when the owner lives, or that can't be told.
 * @throws {ForeignLinkLockError} when something else stands at the path.
 *
 * @example
 * ```ts
 * import { releaseLinkLock } from "@holdfast/holdfast/link-lock";
 *
 * console.log(releaseLinkLock("/tmp/holdfast-example.link"));
 * ```
 */
export function releaseLinkLock(path: string): boolean {
  return remove(path, ({ owner }) => {
    if (isOwnIdentity(owner)) return undefined;
    const { liveness, reason } = judgeLinkOwner(owner);
    return liveness === "dead" ? undefined : reason;
  });
}

/**
 * Removes a link lock whoever owns it. If the owner still acts, two programs
 * then believe that they hold the lock.
 *
 * Permissions as for {@linkcode tryLinkLock}.
 *
 * @param path The lock.
 * @param token The token of the owner to remove, so that no other is hit.
 * @returns Whether it was removed by this call.
 */
export function forceLinkLock(path: string, token: string): boolean {
  return remove(path, () => undefined, token);
}

function remove(
  path: string,
  objection: (stored: StoredOwner) => string | undefined,
  token?: string,
): boolean {
  const names = new LinkNames(path);
  const stored = readStoredOwner(path);
  if (stored === undefined) return false;
  if (token !== undefined && stored.owner.token !== token) return false;
  const refuse = (reason: string) => {
    throw new LockError(
      `Cannot break link lock ${quotePath(path)}: ${reason}; held by ` +
        formatLinkOwnerLine(stored.owner),
    );
  };
  const reason = objection(stored);
  if (reason !== undefined) refuse(reason);
  const outcome = removeByClaim(
    names,
    stored.owner.token,
    plainOwner(),
    (found) => objection(found) === undefined,
  );
  if (outcome === "claimed") refuse("another process is about to remove it");
  return outcome === "removed";
}
