/**
 * Locks drawn over time: who held and who waited, from when to when.
 *
 * @module
 */

import type { LockActivity, TracedProcess } from "../activity.ts";

/** One bar of a timeline. */
export interface TimelineBar {
  /** The number of its lock. */
  lane: number;
  /** Whether it is a hold, a wait, or a wait that ended in vain. */
  kind: "hold" | "wait" | "vain";
  /** When it began, in milliseconds since 1970. */
  startMs: number;
  /** When it ended. */
  endMs: number;
  /** Whether it is shared. */
  shared: boolean;
  /** Whose. */
  process: TracedProcess;
  /** Who was in the way when a wait began. */
  blockers: TracedProcess[];
}

interface OpenBar extends Omit<TimelineBar, "endMs"> {
  key: string;
}

/** More bars than this no page can show at once: the shortest holds go. */
const MAX_BARS = 100_000;

/** Collects the bars of many locks. */
export class Timeline {
  #bars: TimelineBar[] = [];
  readonly #open = new Map<string, OpenBar[]>();
  readonly #mostBars: number;
  #shortestMs = 0;
  #dropped = 0;

  /** @param mostBars How many bars are kept. */
  constructor(mostBars: number = MAX_BARS) {
    this.#mostBars = mostBars;
  }

  /** How many bars were left out, all of them shorter than the others. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Takes the next thing that happened to a lock. */
  add(lane: number, activity: LockActivity): void {
    switch (activity.event) {
      case "waiting":
      case "breaking":
        return this.#start(lane, "wait", activity);
      case "acquired":
        this.#end(lane, "wait", activity, activity.waitedMs);
        return this.#start(lane, "hold", activity);
      case "held":
        return this.#start(lane, "hold", activity);
      case "broken":
        return this.#end(lane, "wait", activity, activity.waitedMs);
      case "gave-up":
        return this.#end(lane, "vain", activity, activity.waitedMs);
      case "released":
        return this.#end(lane, "hold", activity, activity.heldMs);
    }
  }

  #start(
    lane: number,
    kind: "hold" | "wait",
    activity: LockActivity,
  ): void {
    const { timeMs, process, mode, holders = [] } = activity;
    const key = barKey(lane, kind, activity);
    const open = this.#open.get(key) ?? [];
    this.#open.set(key, open);
    open.push({
      key,
      lane,
      kind,
      startMs: timeMs,
      shared: mode === "READ",
      process,
      blockers: holders.map(({ process }) => process),
    });
  }

  #end(
    lane: number,
    kind: TimelineBar["kind"],
    activity: LockActivity,
    lastedMs: number | undefined,
  ): void {
    const key = barKey(lane, kind === "hold" ? "hold" : "wait", activity);
    const open = this.#open.get(key);
    const bar = open?.shift();
    if (open?.length === 0) this.#open.delete(key);
    const { timeMs, process, mode } = activity;
    if (bar === undefined && lastedMs === undefined) return;
    this.#keep({
      lane,
      kind,
      startMs: lastedMs === undefined ? bar!.startMs : timeMs - lastedMs,
      endMs: timeMs,
      shared: mode === "READ",
      process,
      blockers: bar?.blockers ?? [],
    });
  }

  #keep(bar: TimelineBar): void {
    if (bar.kind === "hold" && bar.endMs - bar.startMs < this.#shortestMs) {
      this.#dropped++;
      return;
    }
    this.#bars.push(bar);
    if (this.#bars.length > this.#mostBars) this.#thin();
  }

  /** Leaves out the shorter half of the bars, and in future what is as short. */
  #thin(): void {
    const lengths = this.#bars.map(({ startMs, endMs }) => endMs - startMs)
      .sort((a, b) => a - b);
    this.#shortestMs = Math.max(
      lengths[lengths.length >> 1]!,
      this.#shortestMs * 2,
      0.001,
    );
    const before = this.#bars.length;
    this.#bars = this.#bars.filter(({ kind, startMs, endMs }) =>
      kind !== "hold" || endMs - startMs >= this.#shortestMs
    );
    // Only waits are left: their shorter half goes.
    if (this.#bars.length > this.#mostBars / 2) {
      this.#bars = this.#bars.filter(({ startMs, endMs }) =>
        endMs - startMs >= this.#shortestMs
      );
    }
    this.#dropped += before - this.#bars.length;
  }

  /** All bars in the order in which they begin; what goes on ends now. */
  bars(untilMs: number): TimelineBar[] {
    const open = [...this.#open.values()].flat().map(({ key: _, ...bar }) => ({
      ...bar,
      endMs: Math.max(untilMs, bar.startMs),
    }));
    return [...this.#bars, ...open].sort((a, b) => a.startMs - b.startMs);
  }
}

function barKey(
  lane: number,
  kind: "hold" | "wait",
  { process, threadId, mode }: LockActivity,
): string {
  // A lock may be given back by another thread than took it.
  const who = kind === "hold" ? `${process.pid}` : `${process.pid}/${threadId}`;
  return `${lane} ${kind} ${who} ${mode}`;
}
