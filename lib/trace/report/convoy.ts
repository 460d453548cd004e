import type { TracedProcess } from "../activity.ts";

/**
 * A stretch of time in which a lock was always waited for: those who got it in
 * turn had all queued up behind each other.
 */
export interface Convoy {
  /** When it began, in milliseconds since 1970. */
  startMs: number;
  /** How long it lasted, in milliseconds. */
  durationMs: number;
  /** How often the lock went from one to the next. */
  turns: number;
  /** How many waited at once, at most. */
  mostWaiters: number;
  /** Who held the lock when the first began to wait. */
  startedBy: TracedProcess | undefined;
}

/** Fewer turns than this are two who met. */
const MIN_TURNS = 3;

/** Convoys that are remembered. */
const MAX_CONVOYS = 100;

/** Watches one lock for convoys. */
export class ConvoyWatch {
  #convoys: Convoy[] = [];
  #current: Convoy | undefined;

  /** Somebody begins to wait, and is one of so many. */
  waiting(
    timeMs: number,
    waiting: number,
    holder: TracedProcess | undefined,
  ): void {
    this.#current ??= {
      startMs: timeMs,
      durationMs: 0,
      turns: 0,
      mostWaiters: 0,
      startedBy: holder,
    };
    this.#current.mostWaiters = Math.max(this.#current.mostWaiters, waiting);
  }

  /** A wait is over, and so many go on. */
  ended(timeMs: number, waiting: number, granted: boolean): void {
    const current = this.#current;
    if (current === undefined) return;
    if (granted) current.turns++;
    if (waiting > 0) return;
    this.#current = undefined;
    if (current.turns < MIN_TURNS) return;
    this.#convoys.push({ ...current, durationMs: timeMs - current.startMs });
    if (this.#convoys.length > MAX_CONVOYS) {
      this.#convoys = longestFirst(this.#convoys).slice(0, MAX_CONVOYS / 2);
    }
  }

  /** The convoys up to a moment, the longest first. */
  report(untilMs: number): Convoy[] {
    const current = this.#current;
    const last = current !== undefined && current.turns >= MIN_TURNS
      ? [{ ...current, durationMs: untilMs - current.startMs }]
      : [];
    return longestFirst([...this.#convoys, ...last]);
  }
}

function longestFirst(convoys: readonly Convoy[]): Convoy[] {
  return convoys.toSorted((a, b) => b.durationMs - a.durationMs);
}
