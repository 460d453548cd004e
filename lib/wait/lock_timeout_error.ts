import type { HolderInfo } from "../inspect/holder.ts";
import { LockError } from "../sys/error.ts";

/** What {@linkcode LockTimeoutError} says besides its message. */
export interface LockTimeout {
  /** The lock file, or what else was waited for. */
  path: string;
  /** How long the caller waited, in milliseconds. */
  waitedMs: number;
  /** Who was in the way; nobody unless set. */
  holders?: readonly HolderInfo[];
}

/** That somebody else has it, now or still: for a sentence about a lock. */
export function heldFor(waitedMs: number): string {
  return waitedMs === 0
    ? "is held by somebody else"
    : `was still held ${whenGivenUp(waitedMs)}`;
}

/** When it was given up, for a sentence. */
export function whenGivenUp(waitedMs: number): string {
  return waitedMs === 0 ? "now" : `after ${Math.ceil(waitedMs)} ms`;
}

/**
 * What was waited for stayed busy until the deadline. The timeouts of link
 * locks, slots, CPUs, the load and of several machines are subclasses: `name`
 * says which.
 */
export class LockTimeoutError extends LockError {
  /** The name of the class. */
  override name = "LockTimeoutError";
  /** The lock file, or what else was waited for. */
  readonly path: string;
  /** How long the caller waited, in milliseconds. */
  readonly waitedMs: number;
  /**
   * Who held the lock just after the deadline; the message lists them. Empty
   * where nobody in particular did, or nobody of this host: see the subclass.
   */
  readonly holders: readonly HolderInfo[];

  /** Made by `acquire` and its relatives. */
  constructor(
    message: string,
    { path, waitedMs, holders = [] }: LockTimeout,
  ) {
    super(message);
    this.path = path;
    this.waitedMs = waitedMs;
    this.holders = holders;
  }
}
