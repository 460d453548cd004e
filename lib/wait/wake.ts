/**
 * What wakes a waiter: the one seam between "try again" and "when".
 *
 * @module
 */

import { type Clock, systemClock } from "./clock.ts";

/** Tells a waiting loop when another attempt is worth making. */
export interface WakeSource extends AsyncDisposable {
  /**
   * Resolves when it is worth trying again, after `maxMs` milliseconds, or
   * when `signal` aborts, whichever comes first. Never rejects.
   */
  wait(maxMs: number, signal?: AbortSignal): Promise<void>;
}

const FIRST_DELAY_MS = 1;
const MAX_DELAY_MS = 100;

/**
 * Wakes by the clock alone: after 1 ms, then twice as long each time up to
 * 100 ms, each delay shortened by up to half at random so that waiters don't
 * try in step.
 *
 * @param clock Measures the delays.
 * @param random A number from 0 up to 1.
 */
export function pollingWake(
  clock: Clock = systemClock,
  random: () => number = Math.random,
): WakeSource {
  let delayMs = FIRST_DELAY_MS;
  return {
    async wait(maxMs, signal) {
      const jittered = delayMs * (1 - random() / 2);
      delayMs = Math.min(delayMs * 2, MAX_DELAY_MS);
      await clock.sleep(Math.min(jittered, maxMs), signal);
    },
    async [Symbol.asyncDispose]() {},
  };
}
