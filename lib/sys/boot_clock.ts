import { libc } from "./libc.ts";

const CLOCK_REALTIME = 0;
const CLOCK_MONOTONIC = 1;
const CLOCK_BOOTTIME = 7;
const reading = new BigInt64Array(2);

/**
 * Milliseconds since boot, time in suspend included: the same for all processes
 * of a time namespace, never set and never back.
 *
 * Permissions: `--allow-ffi`. See clock_gettime(2), `CLOCK_BOOTTIME`.
 */
export function bootTimeMs(): number {
  libc.clock_gettime(CLOCK_BOOTTIME, reading);
  return Number(reading[0]) * 1000 + Number(reading[1]) / 1e6;
}

/**
 * Nanoseconds of the clock that the kernel's traces can be stamped with, time
 * in suspend left out.
 *
 * Permissions: `--allow-ffi`. See clock_gettime(2), `CLOCK_MONOTONIC`.
 */
export function monotonicNs(): bigint {
  libc.clock_gettime(CLOCK_MONOTONIC, reading);
  return reading[0]! * 1_000_000_000n + reading[1]!;
}

/**
 * The time of day at a moment of {@linkcode monotonicNs}, as the two clocks
 * stand to each other now.
 *
 * Permissions: `--allow-ffi`. See clock_gettime(2), `CLOCK_REALTIME`.
 *
 * @param atNs The moment, in nanoseconds.
 * @returns Milliseconds since 1970, with fractions.
 */
export function timeOfDayMs(atNs: bigint): number {
  let best: { tookNs: bigint; aheadNs: bigint } | undefined;
  // Whoever is interrupted in between reads them too far apart.
  for (let n = 0; n < 5; n++) {
    const before = monotonicNs();
    libc.clock_gettime(CLOCK_REALTIME, reading);
    const realNs = reading[0]! * 1_000_000_000n + reading[1]!;
    const tookNs = monotonicNs() - before;
    if (best !== undefined && best.tookNs <= tookNs) continue;
    best = { tookNs, aheadNs: realNs - before - tookNs / 2n };
  }
  return Number((best!.aheadNs + atNs) / 1000n) / 1000;
}
