/**
 * Waiting until the system has less to do.
 *
 * @module
 */

import { checkNumber } from "../lock/check.ts";
import { LockError } from "../sys/error.ts";
import { getLoadAverages } from "../sys/loadavg.ts";
import { attemptUntil, type WaitOptions } from "../wait/attempt_loop.ts";
import { type Clock, systemClock } from "../wait/clock.ts";
import { LockTimeoutError } from "../wait/lock_timeout_error.ts";

/** Minutes that a load average is taken over. */
export type LoadMinutes = 1 | 5 | 15;

/** How {@linkcode waitForLoad} waits. */
export interface LoadOptions extends WaitOptions {
  /** Which average counts; that of 1 minute unless set. */
  minutes?: LoadMinutes | undefined;
  /** Milliseconds between readings, at least 1; 1000 unless set. */
  intervalMs?: number | undefined;
  /** Called at each reading that is too high. */
  onTooHigh?: ((load: number) => void) | undefined;
  /** Gives the 1, 5 and 15 minute averages; the system's unless set. */
  readLoad?: (() => readonly number[]) | undefined;
  /** Measures the wait. */
  clock?: Clock | undefined;
}

/** The load stayed too high until the deadline. */
export class LoadTimeoutError extends LockTimeoutError {
  /** The name of the class. */
  override name = "LoadTimeoutError";
  /** The load that would have done. */
  readonly maxLoad: number;
  /** The load at the last reading. */
  readonly load: number;
  /** Minutes that it is an average over. */
  readonly minutes: LoadMinutes;

  /** Made by {@linkcode waitForLoad}. */
  constructor(
    maxLoad: number,
    load: number,
    minutes: LoadMinutes,
    waitedMs: number,
  ) {
    const when = waitedMs === 0 ? "is" : "was still";
    const after = waitedMs === 0 ? "" : ` after ${Math.ceil(waitedMs)} ms`;
    super(
      `Cannot start: the ${minutes}-minute load ${when} ${load.toFixed(2)}` +
        `${after}, above ${maxLoad}; wait longer or allow a higher load`,
      { path: "/proc/loadavg", waitedMs },
    );
    this.maxLoad = maxLoad;
    this.load = load;
    this.minutes = minutes;
  }
}

const INDEX: Readonly<Record<LoadMinutes, number>> = { 1: 0, 5: 1, 15: 2 };

/**
 * The load averaged over some minutes.
 *
 * @throws {LockError} when the system doesn't tell.
 */
export function readLoadOver(
  minutes: LoadMinutes,
  readLoad: () => readonly number[] = getLoadAverages,
): number {
  const load = readLoad()[INDEX[minutes]];
  if (load !== undefined) return load;
  throw new LockError(
    `Cannot read the load: the system gave no ${minutes}-minute average`,
  );
}

/**
 * Waits until the load average is at or below a limit. The kernel computes it
 * anew every five seconds.
 *
 * Permissions: `--allow-ffi`. See getloadavg(3), proc_loadavg(5).
 *
 * @param maxLoad The highest load that will do, 0 or more tasks.
 * @param options `minutes`, `timeoutMs`, `signal` and `onTooHigh`.
 * @returns The load that did.
 * @throws {LoadTimeoutError} when it was higher until the deadline.
 * @throws {LockError} when the load can't be read.
 * @throws {RangeError} when `maxLoad`, `intervalMs` or `timeoutMs` is out of
 * range.
 * @throws `signal.reason` when the signal aborts.
 *
 * @example
 * ```ts
 * import { waitForLoad } from "@holdfast/holdfast/patterns";
 *
 * await waitForLoad(1000, { minutes: 5, timeoutMs: 60_000 });
 * console.log("quiet enough");
 * ```
 */
export async function waitForLoad(
  maxLoad: number,
  options: LoadOptions = {},
): Promise<number> {
  const {
    minutes = 1,
    intervalMs = 1000,
    onTooHigh,
    readLoad,
    clock = systemClock,
  } = options;
  checkNumber(maxLoad, "maxLoad");
  checkNumber(intervalMs, "intervalMs");
  if (!(maxLoad >= 0)) {
    throw new RangeError(`maxLoad must be 0 or more, got ${maxLoad}`);
  }
  if (!(intervalMs >= 1)) {
    throw new RangeError(`intervalMs must be 1 or more, got ${intervalMs}`);
  }
  let load = NaN;
  const { value, waitedMs } = await attemptUntil(
    () => {
      load = readLoadOver(minutes, readLoad);
      if (load <= maxLoad) return load;
      onTooHigh?.(load);
      return undefined;
    },
    {
      timeoutMs: options.timeoutMs,
      signal: options.signal,
      clock,
      wake: () => ({
        wait: (maxMs, signal) =>
          clock.sleep(Math.min(intervalMs, maxMs), signal),
        [Symbol.asyncDispose]: () => Promise.resolve(),
      }),
    },
  );
  if (value !== undefined) return value;
  throw new LoadTimeoutError(maxLoad, load, minutes, waitedMs);
}
