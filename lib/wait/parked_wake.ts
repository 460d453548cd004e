/**
 * Waking by the lock itself: the kernel grants it to a call that sleeps on a
 * thread of its own, in its turn and to nobody else.
 *
 * @module
 */

import type { ParkedCall } from "../sys/thread/parked_call.ts";
import { type Clock, systemClock } from "./clock.ts";
import type { WakeSource } from "./wake.ts";

/* A call may end without the lock: its file has been replaced. One that does so
 * this often in a row is being refused, and will be again. */
const MAX_FRUITLESS = 3;

/**
 * Wakes when the kernel has granted the lock, which a following attempt by the
 * same open file finds in its hands.
 *
 * @param park Starts the call that waits; `undefined` when it can't be.
 * @param fallback What wakes instead, asked for when it is needed.
 * @param clock Measures the longest wait.
 */
export function parkedWake(
  park: () => ParkedCall | undefined,
  fallback: () => WakeSource | Promise<WakeSource>,
  clock: Clock = systemClock,
): WakeSource {
  let fruitless = 0;
  let instead: WakeSource | undefined;
  return {
    async wait(maxMs, signal) {
      const call = instead === undefined && fruitless < MAX_FRUITLESS
        ? park()
        : undefined;
      if (call !== undefined) {
        fruitless++;
        return await sleepIn(call, clock, maxMs, signal);
      }
      instead ??= await fallback();
      await instead.wait(maxMs, signal);
    },
    async [Symbol.asyncDispose]() {
      await instead?.[Symbol.asyncDispose]();
    },
  };
}

/** Until a call has ended: by itself, or because it is time that it does. */
async function sleepIn(
  call: ParkedCall,
  clock: Clock,
  maxMs: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const interrupt = () => call.interrupt();
  signal?.addEventListener("abort", interrupt);
  if (signal?.aborted) interrupt();
  // Without a deadline, what ends the timer isn't made: each cold function on
  // the way from the kernel to the caller counts.
  const ending = maxMs === Infinity ? undefined : new AbortController();
  const timer = ending && clock.sleep(maxMs, ending.signal).then(interrupt);
  await call.ended;
  signal?.removeEventListener("abort", interrupt);
  ending?.abort();
  await timer;
}
