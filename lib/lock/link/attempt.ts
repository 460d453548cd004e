/**
 * Taking a link lock.
 *
 * @module
 */

import {
  checkCallbacks,
  checkNumber,
  checkOptions,
  checkString,
  rejectArgument,
} from "../check.ts";
import type { LockPath, PathLike } from "../lock_path.ts";
import { commitFence, nextFence, noteFence } from "./fence.ts";
import {
  isLeaseOver,
  LeaseKeeper,
  MIN_LEASE_MS,
  openForBeats,
  readClocks,
  readServerClock,
} from "./lease.ts";
import {
  HeldLinkLock,
  type LinkLockHandle,
  type LinkLockOptions,
} from "./link_lock.ts";
import { LinkNames } from "./names.ts";
import { judgeLinkOwner, MAX_MESSAGE_LENGTH } from "./owner.ts";
import {
  checkLinks,
  linkCandidate,
  newOwner,
  plainOwner,
  type RemovalOutcome,
  removeByClaim,
  removeIfAny,
  writeCandidate,
} from "./protocol.ts";
import { readStoredOwner, type StoredOwner } from "./stored_owner.ts";

/** How often in a row others may take the same counter before this gives up. */
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
  constructor(path: PathLike | LockPath, options: LinkLockOptions = {}) {
    this.#names = new LinkNames(path);
    checkOptions(options);
    this.#options = options;
    checkCallbacks(options, "onIncident");
    const { leaseMs, message, mode = "exclusive" } = options;
    if (mode !== "exclusive") {
      rejectArgument("mode", '"exclusive", as all link locks are', mode);
    }
    if (leaseMs !== undefined) checkNumber(leaseMs, "leaseMs");
    if (message !== undefined) checkString(message, "message");
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
  try(): LinkLockHandle | undefined {
    const names = this.#names;
    const stored = readStoredOwner(names.path, names.given);
    if (stored !== undefined) {
      noteFence(names, stored.owner.fence);
      if (!this.#clear(stored)) return undefined;
    }
    for (let overtaken = 0; overtaken < MAX_OVERTAKEN; overtaken++) {
      const result = this.#take();
      if (result !== "overtaken") return result;
    }
    return undefined;
  }

  /** Whether the lock that was in the way is gone. */
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

  /** To ask the server, a file must be written: not at every attempt. */
  #serverClock(leaseMs: number): number | undefined {
    const now = performance.now();
    if (now < this.#nextClockMs) return undefined;
    this.#nextClockMs = now + leaseMs / 10;
    return readServerClock(this.#names);
  }

  #take(): LinkLockHandle | undefined | "overtaken" {
    const names = this.#names;
    const { message = null, leaseMs = null, releaseOnExit = false } =
      this.#options;
    const takenAt = readClocks();
    const owner = newOwner({
      fence: nextFence(names),
      message,
      leaseMs,
    });
    const candidate = names.candidate(owner.token);
    writeCandidate(names, owner);
    let file: Deno.FsFile | undefined;
    let linked = false;
    let done = false;
    try {
      checkLinks(names, owner.token);
      if (leaseMs !== null) file = openForBeats(candidate, names.given);
      linked = linkCandidate(candidate, names.path);
      if (!linked) return undefined;
      if (!commitFence(names, owner)) return "overtaken";
      const lock = new HeldLinkLock(
        names,
        owner,
        {
          releaseOnExit,
          keep: file && leaseMs !== null
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
        },
      );
      done = true;
      return lock;
    } finally {
      if (!done) {
        file?.close();
        if (linked) new HeldLinkLock(names, owner).release();
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
 * @throws {UnsupportedFilesystemError} where there are no hard links; nothing
 * is left there.
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
  path: PathLike,
  options: LinkLockOptions = {},
): LinkLockHandle | undefined {
  return new LinkLockAttempt(path, options).try();
}
