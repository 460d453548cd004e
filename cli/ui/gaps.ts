/**
 * What a command says of processes that it may not look into.
 *
 * @module
 */

import type { HolderInfo } from "../../lib/inspect/holder.ts";
import { currentUid } from "../../lib/sys/process/environment.ts";

/** Whether there are holders, and each is known. */
export function areKnown(holders: readonly HolderInfo[]): boolean {
  return holders.length > 0 && holders.every(({ pid }) => pid !== undefined);
}

/** A line below an answer on the processes that may hold the lock too. */
export function describeGap(unreadablePids: readonly number[]): string[] {
  return unreadablePids.length === 0
    ? []
    : [` (${sayUnreadable(unreadablePids)})`];
}

/**
 * Which processes may not be looked into, in words.
 *
 * @param pids One or more.
 * @param consequence What may be missing for it.
 */
export function sayUnreadable(
  pids: readonly number[],
  consequence?: string,
): string {
  const which = pids.length === 1
    ? `process ${pids[0]}`
    : `${pids.length} processes`;
  return `${which} may not be looked into` +
    (consequence === undefined ? "" : `: ${consequence}`) +
    (currentUid() === 0 ? "" : "; root sees other users' as well");
}
