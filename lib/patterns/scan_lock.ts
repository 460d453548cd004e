import { blockFlock, type FlockHandle, tryFlock } from "../lock/flock/flock.ts";
import { quotePath } from "../proc/printable.ts";
import { LockError } from "../sys/error.ts";

/** Nobody holds it longer than it takes to try each slot once. */
const MAX_SCAN_MS = 10_000;

/**
 * Takes the lock under which several locks of a directory may be taken and
 * given back again: whoever looks for free ones meanwhile would be misled.
 *
 * @throws {LockError} when somebody holds it far too long.
 */
export function lockScan(path: string): FlockHandle {
  const lock = tryFlock(path) ??
    blockFlock(path, "exclusive", { timeoutMs: MAX_SCAN_MS });
  if (lock !== undefined) return lock;
  throw new LockError(
    `Cannot look for what is free: ${quotePath(path)} has been locked for ` +
      `${MAX_SCAN_MS / 1000} s; is a process stopped that holds it?`,
  );
}
