/**
 * Things to be done now and then, by whoever comes first.
 *
 * @module
 */

import { checkFunction, checkNumber, checkOptions } from "../lock/check.ts";
import { type PathLike, toLockPath } from "../lock/lock_path.ts";
import type { FlockHandle } from "../lock/flock/flock.ts";
import { type LockWaitOptions, WaitBudget } from "../acquire/budget.ts";
import { flockAttempt } from "../acquire/flock_attempt.ts";
import { readState, writeState } from "./state_file.ts";

/** How {@linkcode acquireIfDue} decides. */
export interface DebounceOptions extends LockWaitOptions {
  /** Run at most once in so many milliseconds, from start to start. */
  intervalMs: number;
  /** The present time in milliseconds since 1970; the system's unless set. */
  now?: (() => number) | undefined;
}

/** What the first line of a file with such state says. */
export const DEBOUNCE_KIND = "debounce";

/** When the last run was, and the longest interval that anybody asked for. */
interface LastRun {
  timeMs: number;
  longestMs: number | undefined;
}

function parseLastRun(text: string | undefined): LastRun {
  const [time = "", longest] = text?.split(" ") ?? [];
  return {
    timeMs: Date.parse(time),
    longestMs: longest === undefined ? undefined : Number(longest),
  };
}

/**
 * Whether a state no longer keeps anybody from running. A cleaner needs to
 * know: without its file, the next one would run at once.
 */
export function isIntervalOver(text: string, nowMs: number): boolean {
  const { timeMs, longestMs } = parseLastRun(text);
  return longestMs !== undefined && timeMs + longestMs < nowMs;
}

/**
 * Takes a lock if the last one to take it by this function did so long enough
 * ago, and notes the time in the lock file.
 *
 * The time is noted before anything is run under the lock: what fails isn't
 * tried again before the interval is over. A time in the future, after the
 * clock was set back, counts as long ago.
 *
 * Permissions: `--allow-ffi`. See flock(2).
 *
 * @param path The lock file; it must be writable and have no other content.
 * @param options `intervalMs`, `timeoutMs`, `signal`.
 * @returns The held lock when it is time, else `undefined`.
 * @throws {LockTimeoutError} when the lock was busy until the deadline.
 * @throws {LockError} when the file has other content.
 * @throws {RangeError} when `intervalMs` is negative or not a number.
 *
 * @example
 * ```ts
 * import { acquireIfDue } from "@holdfast/holdfast/patterns";
 *
 * using lock = await acquireIfDue("/tmp/holdfast-example.lock", {
 *   intervalMs: 600_000,
 * });
 * console.log(lock ? "ten minutes have passed" : "not yet");
 * ```
 */
export async function acquireIfDue(
  path: PathLike,
  options: DebounceOptions,
): Promise<FlockHandle | undefined> {
  checkOptions(options);
  const { intervalMs, now = Date.now } = options;
  checkNumber(intervalMs, "intervalMs");
  if (!(intervalMs >= 0)) {
    throw new RangeError(
      `intervalMs must be 0 or more milliseconds, got ${intervalMs}`,
    );
  }
  const budget = new WaitBudget(options);
  const file = toLockPath(path);
  using attempt = flockAttempt(file, { ...options, mode: "exclusive" });
  const lock = await budget.acquire(file, attempt);
  try {
    const last = parseLastRun(readState(lock.fd, lock.path, DEBOUNCE_KIND));
    const time = now();
    if (last.timeMs <= time && time < last.timeMs + intervalMs) {
      lock.release();
      return undefined;
    }
    const longestMs = Math.max(intervalMs, last.longestMs ?? 0);
    const state = `${new Date(time).toISOString()} ${longestMs}`;
    writeState(lock.fd, lock.path, DEBOUNCE_KIND, state);
    return lock;
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** What {@linkcode debounce} did. */
export type DebounceResult<T> = { ran: true; value: T } | { ran: false };

/**
 * Runs a function under a lock, unless that was done a short time ago by this
 * process or any other.
 *
 * Permissions and errors as for {@linkcode acquireIfDue}.
 *
 * @param path The lock file, which keeps the time of the last run.
 * @param options `intervalMs`, `timeoutMs`, `signal`.
 * @param fn Runs if it is time.
 * @returns Whether it ran, and what it returned.
 *
 * @example
 * ```ts
 * import { debounce } from "@holdfast/holdfast/patterns";
 *
 * const result = await debounce(
 *   "/tmp/holdfast-example.lock",
 *   { intervalMs: 600_000 },
 *   () => "fetched",
 * );
 * console.log(result.ran);
 * ```
 */
export async function debounce<T>(
  path: PathLike,
  options: DebounceOptions,
  fn: () => T | Promise<T>,
): Promise<DebounceResult<T>> {
  checkFunction(fn, "fn");
  using lock = await acquireIfDue(path, options);
  return lock === undefined ? { ran: false } : { ran: true, value: await fn() };
}
