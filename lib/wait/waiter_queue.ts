/**
 * Who of one process waits first for one lock file.
 *
 * @module
 */

import { type Clock, systemClock } from "./clock.ts";

/** A place in a queue; leaving it lets the next one to the head. */
export interface Place extends Disposable {
  /**
   * Resolves when this place is at the head, after `ms` milliseconds, or when
   * `signal` aborts. Never rejects.
   *
   * @returns Whether it is at the head.
   */
  reached(ms: number, signal?: AbortSignal): Promise<boolean>;
}

/* Insertion order is the order of waiting: the first member is the head. */
const queues = new Map<string, Set<QueuedPlace>>();

/** Whether anyone in this isolate waits for a file. */
export function hasWaiters(key: string): boolean {
  return queues.has(key);
}

/**
 * Takes the last place in the queue of a file, so that a thousand waits for it
 * make one attempt at a time, with one descriptor, first come, first served.
 *
 * @param key Names the file.
 * @param clock Measures how long a turn is waited for.
 */
export function takePlace(key: string, clock: Clock = systemClock): Place {
  return new QueuedPlace(key, clock);
}

class QueuedPlace implements Place {
  readonly #key: string;
  readonly #clock: Clock;
  readonly #queue: Set<QueuedPlace>;
  #advance: (() => void) | undefined;

  constructor(key: string, clock: Clock) {
    this.#key = key;
    this.#clock = clock;
    this.#queue = queues.get(key) ?? new Set();
    queues.set(key, this.#queue);
    this.#queue.add(this);
  }

  get #atHead(): boolean {
    return this.#queue.values().next().value === this;
  }

  async reached(ms: number, signal?: AbortSignal): Promise<boolean> {
    if (this.#atHead || signal?.aborted) return this.#atHead;
    const sleep = new AbortController();
    const stop = () => sleep.abort();
    this.#advance = stop;
    signal?.addEventListener("abort", stop);
    await this.#clock.sleep(ms, sleep.signal);
    signal?.removeEventListener("abort", stop);
    this.#advance = undefined;
    return this.#atHead;
  }

  advance(): void {
    this.#advance?.();
  }

  [Symbol.dispose](): void {
    const wasHead = this.#atHead;
    this.#queue.delete(this);
    if (this.#queue.size === 0) queues.delete(this.#key);
    else if (wasHead) this.#queue.values().next().value?.advance();
  }
}
