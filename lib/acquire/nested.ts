/**
 * Waits that would never end, told at once.
 *
 * @module
 */

import { type LockPath, toLockPath } from "../lock/lock_path.ts";
import type { SelfDeadlockError } from "../lock/self_deadlock_error.ts";
import type { ByteSpan } from "../lock/record/byte_span.ts";
import { environmentVariable, hasFfi } from "../sys/process/environment.ts";
import type { WaitOptions } from "../wait/attempt_loop.ts";
import type { Conflict } from "../wait/lock_wake.ts";

const WHOLE_FILE: ByteSpan = { startByte: 0n, endByte: undefined };

/** Whether to refuse a wait that an ancestor keeps from ending. */
export interface NestedOptions {
  /**
   * Wait without a deadline even for a lock that an ancestor of this process
   * holds while it waits for this process to end, as `holdfast run` waits for
   * its command; `false` unless set: such a wait would never end, and is
   * refused with a `SelfDeadlockError`.
   */
  allowNested?: boolean | undefined;
}

type NestedWaitOptions = NestedOptions & Pick<WaitOptions, "timeoutMs">;

/**
 * Whether somebody may hold a lock for this process and wait for it.
 *
 * @param variable Tells a command what is held for it.
 */
export function mayBeNested(
  { timeoutMs = Infinity, allowNested = false }: NestedWaitOptions,
  variable = "HOLDFAST_LOCK",
): boolean {
  return timeoutMs === Infinity && !allowNested && hasFfi() &&
    environmentVariable(variable) !== undefined;
}

/**
 * Refuses a wait for a lock that is held by an ancestor which waits for this
 * process.
 *
 * What /proc doesn't show is no reason to refuse a wait.
 *
 * @param path The lock file.
 * @param conflict What is in the way there.
 * @throws {SelfDeadlockError} naming the ancestor.
 */
export async function rejectNestedWait(
  path: LockPath | string,
  conflict: Conflict,
  options: NestedWaitOptions,
): Promise<void> {
  if (!mayBeNested(options)) return;
  const file = toLockPath(path);
  await rejectWaitFor(file, await readPidsInTheWay(file, conflict));
}

async function readPidsInTheWay(
  { absolute }: LockPath,
  { types, mode, span = WHOLE_FILE }: Conflict,
): Promise<number[]> {
  const { excludesRange } = await import("../inspect/range_holders.ts");
  const { readHoldersIfAny } = await import("../inspect/holder.ts");
  return readHoldersIfAny(absolute)
    .filter((holder) => excludesRange(holder, span, mode, types))
    .flatMap(({ pid }) => pid ?? []);
}

/**
 * An ancestor that holds a lock for its descendants, this process among them,
 * and waits for them; where a command isn't told the lock file, but what it
 * stands for.
 *
 * @param conflict What is in the way at the lock file.
 * @param variable Tells the command.
 * @returns Its process id, if there is one.
 */
export async function findKeeper(
  path: string,
  conflict: Conflict,
  variable: string,
): Promise<number | undefined> {
  const { findWaitingAncestor, readInitialVariable } = await import(
    "../inspect/ancestor_holder.ts"
  );
  const pids = await readPidsInTheWay(toLockPath(path), conflict);
  return findWaitingAncestor(
    new Set(pids),
    (pid) => readInitialVariable(pid, variable) !== undefined,
  );
}

/**
 * Refuses to wait for some processes if one of them is an ancestor that waits
 * for this process, or if they are this process alone and it was started with
 * the lock. If it took the lock itself, it can release it while it waits.
 *
 * @param file The lock that they hold.
 * @param pids All of them are in the way.
 * @throws {SelfDeadlockError} naming the one.
 */
export async function rejectWaitFor(
  { given, absolute }: LockPath,
  pids: readonly number[],
): Promise<void> {
  const { findWaitingAncestor, hasInheritedLock, isStartedUnder } =
    await import("../inspect/ancestor_holder.ts");
  const ancestor = findWaitingAncestor(
    new Set(pids),
    (pid) => isStartedUnder(pid, absolute),
  );
  const isOwn = ancestor === undefined && pids.length > 0 &&
    pids.every((pid) => pid === Deno.pid) && hasInheritedLock(absolute);
  const holderPid = isOwn ? Deno.pid : ancestor;
  if (holderPid === undefined) return;
  throw await selfDeadlock(given, holderPid, isOwn ? "self" : "ancestor");
}

/** The error of a wait that would never end. */
export async function selfDeadlock(
  path: string,
  holderPid: number,
  relation: "self" | "ancestor",
): Promise<SelfDeadlockError> {
  const { SelfDeadlockError } = await import("../lock/self_deadlock_error.ts");
  const { readCommandLine } = await import("../sys/process/process.ts");
  const command = readCommandLine(holderPid);
  return new SelfDeadlockError({ path, holderPid, relation, command });
}
