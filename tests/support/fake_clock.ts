import type { Clock } from "../../lib/wait/clock.ts";

/** A clock on which sleeps take no time, and time passes only by sleeping. */
export function fakeClock(): Clock & { sleeps: number[] } {
  let now = 0;
  const sleeps: number[] = [];
  return {
    sleeps,
    now: () => now,
    sleep(ms) {
      sleeps.push(ms);
      now += ms;
      return Promise.resolve();
    },
  };
}
