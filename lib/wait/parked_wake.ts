/**
 * Waking by the lock itself: the kernel grants it to a call that sleeps on a
 * helper thread, in its turn and to nobody else.
 *
 * @module
 */

import type { ParkedCall } from "../sys/parked_call.ts";
import { type Clock, systemClock } from "./clock.ts";
import type { WakeSource } from "./wake.ts";

/** A call that fails so often in a row will go on to. */
const MOST_FAILURES = 3;

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
  return new ParkedWake(park, fallback, clock);
}

class ParkedWake implements WakeSource {
  readonly #park: () => ParkedCall | undefined;
  readonly #makeFallback: () => WakeSource | Promise<WakeSource>;
  readonly #clock: Clock;
  #fallback: WakeSource | undefined;
  #call: ParkedCall | undefined;
  #failures = 0;

  constructor(
    park: () => ParkedCall | undefined,
    fallback: () => WakeSource | Promise<WakeSource>,
    clock: Clock,
  ) {
    this.#park = park;
    this.#makeFallback = fallback;
    this.#clock = clock;
  }

  async wait(maxMs: number, signal?: AbortSignal): Promise<void> {
    this.#call?.[Symbol.dispose]();
    this.#call = this.#fallback === undefined && this.#failures < MOST_FAILURES
      ? this.#park()
      : undefined;
    if (this.#call !== undefined) {
      return await this.#sleep(this.#call, maxMs, signal);
    }
    this.#fallback ??= await this.#makeFallback();
    await this.#fallback.wait(maxMs, signal);
  }

  async #sleep(
    call: ParkedCall,
    maxMs: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    let unwanted = false;
    const interrupted = Promise.withResolvers<undefined>();
    const interrupt = async () => {
      unwanted = true;
      await call.interrupt();
      interrupted.resolve(undefined);
    };
    signal?.addEventListener("abort", interrupt);
    if (signal?.aborted) interrupt();
    // Without a deadline, what ends the timer isn't made: each cold function on
    // the way from the kernel to the caller counts.
    const ending = maxMs === Infinity ? undefined : new AbortController();
    const timer = ending &&
      this.#clock.sleep(maxMs, ending.signal).then(interrupt);
    const result = await Promise.race([call.ended, interrupted.promise]);
    this.#failures = result === 0 || unwanted ? 0 : this.#failures + 1;
    signal?.removeEventListener("abort", interrupt);
    ending?.abort();
    if (timer !== undefined) await timer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#call?.[Symbol.dispose]();
    await this.#fallback?.[Symbol.asyncDispose]();
  }
}
