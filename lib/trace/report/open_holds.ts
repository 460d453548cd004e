import type { LockActivity, TracedProcess } from "../activity.ts";
import {
  type ByteSpan,
  type Claim,
  isWithin,
  overlaps,
  remainders,
} from "../holds.ts";

/** A lock that is held, as activities tell of it. */
export interface OpenHold extends Claim {
  /** Who holds it. */
  process: TracedProcess;
  /** When it was taken or first seen, in milliseconds since 1970. */
  sinceMs: number;
  /** Whether it was held before it was first seen. */
  isOlder: boolean;
}

/** The locks of one file and kind that are held, from activity to activity. */
export class OpenHolds {
  #holds: OpenHold[] = [];

  /** Those that are held now. */
  get all(): readonly OpenHold[] {
    return this.#holds;
  }

  /** A lock is held. */
  open(activity: LockActivity): void {
    const { process, type, mode, timeMs, startByte, endByte } = activity;
    const span: ByteSpan = { startByte, endByte };
    let sinceMs = timeMs;
    let isOlder = activity.event === "held";
    // A record lock that grows is told as a whole.
    if (type !== "FLOCK") {
      this.#holds = this.#holds.filter((hold) => {
        const isPart = hold.process.pid === process.pid &&
          hold.mode === mode && isWithin(hold, span);
        if (isPart && hold.sinceMs < sinceMs) {
          ({ sinceMs, isOlder } = hold);
        }
        return !isPart;
      });
    } else {
      // What would forbid it is gone, though nothing told so.
      this.#holds = mode === "WRITE"
        ? []
        : this.#holds.filter((hold) => hold.mode === "READ");
    }
    this.#holds.push({
      process,
      type,
      mode,
      owner: undefined,
      ...span,
      sinceMs,
      isOlder,
    });
  }

  /**
   * A lock is given back, or a part of it: the rest is held on.
   *
   * @returns The whole of it, or `undefined` when nothing is known of it.
   */
  close(activity: LockActivity): OpenHold | undefined {
    const { process, mode } = activity;
    const ofMode = this.#holds.filter((hold) =>
      hold.mode === mode && overlaps(hold, activity)
    );
    // When the taker has ended, an ancestor holds it on.
    const hold = ofMode.find(({ process: { pid } }) => pid === process.pid) ??
      ofMode[0];
    if (hold === undefined) return undefined;
    this.#holds.splice(this.#holds.indexOf(hold), 1);
    for (const piece of remainders(hold, activity)) {
      this.#holds.push({ ...hold, ...piece });
    }
    return hold;
  }
}
