/**
 * Taking a flock with a deadline.
 *
 * @module
 */

import type { FlockHandle, LockMode } from "../lock/flock/flock.ts";
import { type PathLike, toLockPath } from "../lock/lock_path.ts";
import {
  type LockFileChecks,
  type LockWaitOptions,
  WaitBudget,
} from "./budget.ts";
import { flockAttempt } from "./flock_attempt.ts";

/** Which flock `tryAcquire` takes. */
export interface TryAcquireOptions extends LockFileChecks {
  /** A flock(2), unless another kind is named. */
  kind?: "flock" | undefined;
  /** Shared or exclusive; exclusive unless set. */
  mode?: LockMode | undefined;
}

/** Which flock `acquire` takes and how it waits for it. */
export interface AcquireOptions extends LockWaitOptions {
  /** A flock(2), unless another kind is named. */
  kind?: "flock" | undefined;
  /** Shared or exclusive; exclusive unless set. */
  mode?: LockMode | undefined;
}

/** `tryAcquire` of a flock. */
export function tryAcquireFlock(
  path: PathLike,
  options: TryAcquireOptions = {},
): FlockHandle | undefined {
  // `using` costs as much as a system call here.
  const attempt = flockAttempt(toLockPath(path), options);
  try {
    return attempt.try();
  } finally {
    attempt[Symbol.dispose]();
  }
}

/** `acquire` of a flock. */
export async function acquireFlock(
  path: PathLike,
  options: AcquireOptions = {},
): Promise<FlockHandle> {
  const file = toLockPath(path);
  using attempt = flockAttempt(file, options);
  const budget = new WaitBudget(options);
  return await budget.acquire(file, attempt, { queue: file.absolute });
}
