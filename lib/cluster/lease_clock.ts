import { bootTimeMs } from "../sys/boot_clock.ts";
import { hasFfi } from "../sys/process/environment.ts";

/**
 * The clock that leases are measured by: a server's lease runs out while this
 * host is suspended, so time in suspend counts. Milliseconds, never back.
 *
 * With `--allow-ffi` it is `CLOCK_BOOTTIME`. Else it is the clock of
 * `performance.now()`, which stands still in suspend, moved forward by what the
 * wall clock has gone ahead of it: a wall clock that is set forward then costs
 * a lease, and never gives one that has ended.
 */
export function leaseClock(): () => number {
  return hasFfi() ? bootTimeMs : jumpingClock();
}

/** For {@linkcode leaseClock}; `monotonic` and `wall` are for tests. */
export function jumpingClock(
  monotonic: () => number = () => performance.now(),
  wall: () => number = Date.now,
): () => number {
  let ahead = wall() - monotonic();
  const start = ahead;
  return () => {
    const now = monotonic();
    ahead = Math.max(ahead, wall() - now);
    return now + ahead - start;
  };
}
