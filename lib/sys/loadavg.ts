import { LockError } from "./error.ts";
import { libc } from "./libc.ts";

/** The most averages there are: over 1, 5 and 15 minutes. */
const MAX_SAMPLES = 3;

const samples = new Float64Array(MAX_SAMPLES);

/**
 * The system's load averages by getloadavg(3): the number of tasks that run,
 * could run or sleep uninterruptibly, averaged over 1, 5 and 15 minutes.
 *
 * Permissions: `--allow-ffi`. See getloadavg(3).
 *
 * @param count How many averages, 1 to 3.
 * @returns As many as the system gives, the 1-minute one first.
 * @throws {RangeError} when `count` is not 1, 2 or 3.
 * @throws {LockError} when the load can't be obtained: getloadavg(3) gives -1
 * and no error number.
 *
 * @example
 * ```ts
 * import { getLoadAverages } from "@holdfast/holdfast/patterns";
 *
 * const [oneMinute] = getLoadAverages();
 * console.log(oneMinute);
 * ```
 */
export function getLoadAverages(count: number = MAX_SAMPLES): number[] {
  if (!Number.isInteger(count) || count < 1 || count > MAX_SAMPLES) {
    throw new RangeError(`count must be 1, 2 or 3 averages, got ${count}`);
  }
  const given = libc.getloadavg(samples, count);
  if (given < 0) {
    throw new LockError(
      "Cannot read the load: getloadavg returned -1; is /proc mounted and " +
        "visible here?",
    );
  }
  return [...samples.subarray(0, given)];
}
