/**
 * What happened to locks, summed up.
 *
 * @module
 */

import { fileKey, type LockActivity } from "../activity.ts";
import { type LockInversion, LockOrder } from "./lock_order.ts";
import { type LockReport, LockStats } from "./lock_stats.ts";
import { Timeline, type TimelineBar } from "./timeline.ts";

/** What happened to all locks. */
export interface TraceReport {
  /** When it begins, in milliseconds since 1970; `undefined` when empty. */
  fromMs: number | undefined;
  /** When it ends, in milliseconds since 1970. */
  untilMs: number | undefined;
  /** How many things happened. */
  activities: number;
  /** Events of the kernel that were lost, and are missing here. */
  lost: number;
  /** The locks, those first that were waited for most. */
  locks: LockReport[];
  /** Locks that are taken in one order here and in another there. */
  inversions: LockInversion[];
}

/** What a report is to have. */
export interface ReportOptions {
  /** Whether bars are to be kept for a timeline. */
  timeline?: boolean | undefined;
  /** Only what happens from then on, in milliseconds since 1970. */
  fromMs?: number | undefined;
}

/** Adds up what happens to locks; the order of time must be kept. */
export class ReportBuilder {
  readonly #stats = new Map<string, { lane: number; stats: LockStats }>();
  readonly #order = new LockOrder();
  readonly #timeline: Timeline | undefined;
  readonly #sinceMs: number;
  #fromMs: number | undefined;
  #untilMs: number | undefined;
  #activities = 0;
  #lost = 0;

  /** @param options What it is to have. */
  constructor(options: ReportOptions = {}) {
    this.#timeline = options.timeline ? new Timeline() : undefined;
    this.#sinceMs = options.fromMs ?? -Infinity;
  }

  /** Takes the next thing that happened. */
  add(activity: LockActivity): void {
    const { timeMs } = activity;
    if (timeMs < this.#sinceMs) return;
    this.#activities++;
    this.passed(timeMs);
    const key = lockKey(activity);
    let entry = this.#stats.get(key);
    if (entry === undefined) {
      const lane = this.#stats.size;
      entry = { lane, stats: new LockStats(activity) };
      this.#stats.set(key, entry);
    }
    entry.stats.add(activity);
    this.#timeline?.add(entry.lane, activity);
    this.#order.add(activity);
  }

  /** Time has passed, whether anything happened or not. */
  passed(timeMs: number): void {
    this.#fromMs ??= timeMs;
    this.#untilMs = Math.max(this.#untilMs ?? timeMs, timeMs);
  }

  /** Events were lost. */
  lost(count: number): void {
    this.#lost += count;
  }

  /** What it comes to. */
  finish(): TraceReport {
    const untilMs = this.#untilMs ?? 0;
    const locks = [...this.#stats.values()]
      .map(({ stats }) => stats.report(untilMs));
    return {
      fromMs: this.#fromMs,
      untilMs: this.#untilMs,
      activities: this.#activities,
      lost: this.#lost,
      locks: locks.sort(byImportance),
      inversions: this.#order.inversions(),
    };
  }

  /** The bars, with the numbers of the locks in the order of the report. */
  timeline(report: TraceReport): { bars: TimelineBar[]; dropped: number } {
    if (this.#timeline === undefined) return { bars: [], dropped: 0 };
    const place = new Map(
      report.locks.map((lock, index) => [lockKey(lock), index]),
    );
    const lanes = [...this.#stats.keys()].map((key) => place.get(key)!);
    const bars = this.#timeline.bars(this.#untilMs ?? 0)
      .map((bar) => ({ ...bar, lane: lanes[bar.lane]! }));
    return { bars, dropped: this.#timeline.dropped };
  }
}

/** The same file may have locks of several kinds. */
function lockKey({ file, type }: Pick<LockActivity, "file" | "type">): string {
  return `${file.inode === 0n ? file.path : fileKey(file)} ${type}`;
}

function byImportance(a: LockReport, b: LockReport): number {
  return waitedMs(b) - waitedMs(a) || b.refused - a.refused ||
    b.holds.totalMs - a.holds.totalMs;
}

function waitedMs({ waits, longestWaitNowMs }: LockReport): number {
  return waits.totalMs + longestWaitNowMs;
}
