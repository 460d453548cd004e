import { sleepElsewhere } from "../sys/sleep.ts";
import { hasFfi } from "../sys/process/environment.ts";

/** Time as the waiting loops see it, so that tests can bring their own. */
export interface Clock {
  /** Milliseconds on a clock that never steps back. */
  now(): number;
  /**
   * Resolves after `ms` milliseconds, or earlier when `signal` aborts; never
   * rejects.
   */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** setTimeout takes a signed 32-bit number of milliseconds. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/* The runtime's timers take 1 ms at least, a helper thread doesn't; unless the
 * program keeps all of them busy. */
const SHORT_SLEEP_PATIENCE_MS = 2;

async function shortSleep(ms: number): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const patience = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, SHORT_SLEEP_PATIENCE_MS);
  });
  const sleep = sleepElsewhere(ms);
  await Promise.race([sleep, patience]);
  clearTimeout(timer);
}

/** The real clock. */
export const systemClock: Clock = {
  now: () => performance.now(),
  sleep(ms, signal) {
    if (signal?.aborted) return Promise.resolve();
    if (ms < 1 && hasFfi()) return shortSleep(ms);
    return new Promise((resolve) => {
      const finish = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", finish);
        resolve();
      };
      const timer = setTimeout(finish, Math.min(ms, MAX_TIMER_MS));
      signal?.addEventListener("abort", finish);
    });
  },
};
