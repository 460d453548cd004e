/** What is known of many durations. */
export interface DurationSummary {
  /** How many there were. */
  count: number;
  /** All together, in milliseconds. */
  totalMs: number;
  /** The middle one, in milliseconds; 0 when there was none. */
  p50Ms: number;
  /** Only a twentieth is longer. */
  p95Ms: number;
  /** Only a hundredth is longer. */
  p99Ms: number;
  /** The longest one. */
  maxMs: number;
}

/** Steps for each doubling: a percentile is at most 1.1 % off. */
const STEPS = 32;

/**
 * Counts durations in steps, so that a million of them take no more room than
 * a thousand; number, total and maximum are exact.
 */
export class Distribution {
  readonly #steps = new Map<number, number>();
  #count = 0;
  #totalMs = 0;
  #maxMs = 0;

  /** Adds a duration in milliseconds. */
  add(ms: number): void {
    const step = ms > 0 ? Math.round(Math.log2(ms) * STEPS) : -Infinity;
    this.#steps.set(step, (this.#steps.get(step) ?? 0) + 1);
    this.#count++;
    this.#totalMs += ms;
    if (ms > this.#maxMs) this.#maxMs = ms;
  }

  /** Its number, total, percentiles and maximum. */
  summary(): DurationSummary {
    const steps = [...this.#steps].sort(([a], [b]) => a - b);
    const percentile = (share: number) => {
      let left = Math.ceil(this.#count * share);
      for (const [step, count] of steps) {
        left -= count;
        if (left <= 0) return Math.min(2 ** (step / STEPS), this.#maxMs);
      }
      return 0;
    };
    return {
      count: this.#count,
      totalMs: this.#totalMs,
      p50Ms: percentile(0.5),
      p95Ms: percentile(0.95),
      p99Ms: percentile(0.99),
      maxMs: this.#maxMs,
    };
  }
}
