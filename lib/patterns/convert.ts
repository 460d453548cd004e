/**
 * Making a held lock exclusive, or shared.
 *
 * @module
 */

import type { FlockHandle, LockMode } from "../lock/flock/flock.ts";
import { rejectArgument } from "../lock/check.ts";
import { LockPath } from "../lock/lock_path.ts";
import { quotePath } from "../proc/printable.ts";
import { LockError } from "../sys/error.ts";
import { isStillNamed, statFd } from "../sys/file.ts";
import {
  type LockFileChecks,
  type LockWaitOptions,
  WaitBudget,
} from "../acquire/budget.ts";

/** How a conversion is waited for. */
export type ConversionOptions = Omit<LockWaitOptions, keyof LockFileChecks>;

/** How a conversion went. */
export interface Conversion {
  /**
   * Whether nobody can have held the lock exclusively in between. Where this is
   * `false`, what was read under the lock must be read again.
   */
  uninterrupted: boolean;
}

/**
 * Makes a shared lock exclusive, waiting until the other sharers are gone.
 *
 * flock(2) can't do that in one step unless nobody else shares the lock: the
 * kernel gives up the shared lock first, and others may take it, exclusively
 * too, before it is granted. The result says whether that can have happened.
 * Two sharers that convert at once therefore don't wait for each other; one of
 * them comes second, and finds out.
 *
 * When the time is up, the lock is made shared again if that is possible at
 * once, with the same gap; `lock.held` tells. Otherwise it is lost, as it is
 * when the signal aborts.
 *
 * Permissions: `--allow-ffi`. See flock(2).
 *
 * @param lock A held lock, which is changed.
 * @param options `timeoutMs`, `signal`.
 * @returns Whether there was a gap.
 * @throws {LockTimeoutError} when others shared it until the deadline.
 * @throws {LockError} when the lock file was removed or replaced in the gap:
 * the lock is released then, for it would exclude nobody.
 * @throws {TypeError} when the lock has been released.
 * @throws `signal.reason` when the signal aborts.
 *
 * @example
 * ```ts
 * import { upgrade } from "@holdfast/holdfast/patterns";
 * import { acquire } from "@holdfast/holdfast";
 *
 * using lock = await acquire("/tmp/holdfast-example.lock", { mode: "shared" });
 * const { uninterrupted } = await upgrade(lock, { timeoutMs: 5000 });
 * if (!uninterrupted) console.log("read everything again");
 * ```
 */
export async function upgrade(
  lock: FlockHandle,
  options: ConversionOptions = {},
): Promise<Conversion> {
  checkFlock(lock);
  const budget = new WaitBudget(options);
  if (lock.tryConvert("exclusive")) return { uninterrupted: true };
  const isExclusive = await waitFor(lock, "exclusive", budget);
  if (!isExclusive) lock.tryConvert("shared");
  if (!isStillNamed(lock.absolutePath, statFd(lock.fd))) {
    lock.release();
    throw new LockError(
      `The lock on ${quotePath(lock.path)} was lost: the file was removed ` +
        "or replaced while the lock was converted; take it anew",
    );
  }
  if (!isExclusive) throw await budget.timeoutError(pathOf(lock));
  return { uninterrupted: false };
}

function waitFor(
  lock: FlockHandle,
  mode: LockMode,
  budget: WaitBudget,
): Promise<true | undefined> {
  return budget.wait(
    { path: pathOf(lock), fds: () => [lock.fd] },
    () => lock.tryConvert(mode) || undefined,
  );
}

function checkFlock(lock: FlockHandle): void {
  if (typeof lock?.tryConvert !== "function") {
    rejectArgument("lock", "a held flock", lock);
  }
}

function pathOf({ path, absolutePath }: FlockHandle): LockPath {
  return new LockPath(path, absolutePath);
}

/**
 * Makes an exclusive lock shared. It never has to wait.
 *
 * Linux does that in one step: nobody can hold the lock exclusively in between.
 * flock(2) doesn't promise it, and where the kernel refuses, the result says
 * that there was a gap, and the lock is waited for.
 *
 * Permissions, parameters and errors as for {@linkcode upgrade}.
 *
 * @param lock A held lock, which is changed.
 * @param options `timeoutMs`, `signal`, for a filesystem that has a gap.
 * @returns Whether there was a gap.
 */
export async function downgrade(
  lock: FlockHandle,
  options: ConversionOptions = {},
): Promise<Conversion> {
  checkFlock(lock);
  const budget = new WaitBudget(options);
  if (lock.tryConvert("shared")) return { uninterrupted: true };
  if (!await waitFor(lock, "shared", budget)) {
    throw await budget.timeoutError(pathOf(lock));
  }
  return { uninterrupted: false };
}
