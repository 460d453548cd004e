/**
 * Things to be done now and then, by whoever comes first.
 *
 * @module
 */

import type { FlockHandle } from "../lock/flock/flock.ts";
import {
  type CoordOptions,
  openAttempt,
  WaitBudget,
} from "../acquire/budget.ts";
import { readState, writeState } from "./state_file.ts";

/** How {@linkcode acquireIfDue} decides. */
export interface DebounceOptions extends CoordOptions {
  /** Run at most once in so many milliseconds, from start to start. */
  intervalMs: number;
  /** The present time in milliseconds since 1970; the system's unless set. */
  now?: (() => number) | undefined;
}

const STATE_KIND = "debounce";

/**
 * Takes a lock if the last one to take it so did it long enough ago, and notes
 * the time in the lock file.
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
  path: string,
  options: DebounceOptions,
): Promise<FlockHandle | undefined> {
  const { intervalMs, now = Date.now } = options;
  if (!(intervalMs >= 0)) {
    throw new RangeError(
      `intervalMs must be 0 or more milliseconds, got ${intervalMs}`,
    );
  }
  const budget = new WaitBudget(options);
  using attempt = openAttempt(path, "exclusive", options);
  const lock = await budget.take(path, attempt);
  if (lock === undefined) throw await budget.timeoutError(path);
  try {
    const last = Date.parse(readState(lock.fd, path, STATE_KIND) ?? "");
    const time = now();
    if (last <= time && time < last + intervalMs) {
      lock.release();
      return undefined;
    }
    writeState(lock.fd, path, STATE_KIND, new Date(time).toISOString());
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
  path: string,
  options: DebounceOptions,
  fn: () => T | Promise<T>,
): Promise<DebounceResult<T>> {
  using lock = await acquireIfDue(path, options);
  return lock === undefined ? { ran: false } : { ran: true, value: await fn() };
}
