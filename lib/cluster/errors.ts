import { printable, quotePath } from "../proc/printable.ts";
import { LockCompromisedError } from "../lock/lock_compromised_error.ts";
import { LockError } from "../sys/error.ts";
import { heldFor, LockTimeoutError } from "../wait/lock_timeout_error.ts";
import { type ClusterParty, describeParty } from "./engine.ts";

/** An engine can't be reached, or can't do what is asked of it. */
export class ClusterUnreachableError extends LockError {
  /** The name of the class. */
  override name = "ClusterUnreachableError";
  /** The lock's or engine's URL, without secrets. */
  readonly url: string;
  /** What happened and what to do, clauses. */
  readonly reason: string;

  /**
   * Made by the drivers of engines.
   *
   * @param url Without secrets.
   * @param reason What happened and what to do, clauses; printed safely.
   */
  constructor(url: string, reason: string) {
    super(`Cannot use ${quotePath(url)}: ${printable(reason)}`);
    this.url = url;
    this.reason = reason;
  }
}

/** An engine refuses this user, or this program lacks a permission there. */
export class ClusterPermissionError extends LockError {
  /** The name of the class. */
  override name = "ClusterPermissionError";
  /** The lock's or engine's URL, without secrets. */
  readonly url: string;
  /** What was refused and what to do, clauses. */
  readonly reason: string;

  /**
   * Made by the drivers of engines.
   *
   * @param url Without secrets.
   * @param reason What was refused and what to do, clauses; printed safely.
   */
  constructor(url: string, reason: string) {
    super(`Not permitted to use ${quotePath(url)}: ${printable(reason)}`);
    this.url = url;
    this.reason = reason;
  }
}

/** The lease of a held lock has ended, or can't be renewed in time. */
export class LeaseLostError extends LockCompromisedError {
  /** The name of the class. */
  override name = "LeaseLostError";
  /**
   * What is protected by the lock must have ended so many milliseconds after
   * the loss; absent for a lock that wasn't made by a lease keeper.
   */
  readonly graceMs: number | undefined;

  /**
   * Made by those who keep leases.
   *
   * @param reason What happened, a clause.
   */
  constructor(path: string, reason: string, graceMs?: number) {
    super(path, reason);
    this.graceMs = graceMs;
  }
}

/** A lock of an engine stayed busy until the deadline. */
export class ClusterLockTimeoutError extends LockTimeoutError {
  /** The name of the class. */
  override name = "ClusterLockTimeoutError";
  /** Who was before this caller in the queue, the holder first. */
  readonly ahead: readonly ClusterParty[];

  /**
   * Made by those who take locks.
   *
   * @param note Why it can't be taken though nobody is ahead, a clause.
   */
  constructor(
    path: string,
    waitedMs: number,
    ahead: readonly ClusterParty[],
    note = "it has just been released",
  ) {
    const list = ahead.map((party) => `  ${describeParty(party)}`);
    super(
      `Cannot lock ${quotePath(path)}: it ${heldFor(waitedMs)}; ` +
        (list.length === 0 ? note : `first in its queue:\n${list.join("\n")}`),
      { path, waitedMs },
    );
    this.ahead = ahead;
  }
}
