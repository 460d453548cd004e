import type { Clock } from "../../lib/wait/clock.ts";

/** A clock that moves only when a test moves it. */
export class ManualClock implements Clock {
  #now = 0;
  readonly #sleepers = new Map<() => void, number>();

  now(): number {
    return this.#now;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = () => {
        this.#sleepers.delete(wake);
        signal?.removeEventListener("abort", wake);
        resolve();
      };
      this.#sleepers.set(wake, this.#now + ms);
      signal?.addEventListener("abort", wake);
    });
  }

  /** How many sleep now. */
  get sleeping(): number {
    return this.#sleepers.size;
  }

  /** How long until the next one wakes; Infinity when nobody sleeps. */
  get untilNext(): number {
    return Math.min(...this.#sleepers.values()) - this.#now;
  }

  /** Lets time pass, and those whose time has come go on. */
  async advance(ms: number): Promise<void> {
    this.#now += ms;
    for (const [wake, at] of [...this.#sleepers]) {
      if (at <= this.#now) wake();
    }
    await settle();
  }
}

/** Lets every promise that can go on do so. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
