import type { LockMode } from "../lock/flock/flock.ts";
import { type ByteSpan, spansOverlap } from "../lock/record/byte_span.ts";
import { type HolderInfo, ifKnown, readLockParties } from "./holder.ts";

/** Kinds of lock, as the kernel names them, that are in the way of another. */
export type ConflictingTypes = readonly string[];

/** The two kinds of record locks, which exclude each other. */
export const RECORD_LOCK_TYPES: ConflictingTypes = ["POSIX", "OFDLCK"];

/** Whether a holder's lock is in the way of a lock on some bytes. */
export function excludesRange(
  holder: HolderInfo,
  span: ByteSpan,
  mode: LockMode,
  types: ConflictingTypes = RECORD_LOCK_TYPES,
): boolean {
  return types.includes(holder.type) &&
    (mode === "exclusive" || holder.mode !== "READ") &&
    spansOverlap(holder, span);
}

/**
 * The processes that hold a POSIX or OFD lock in the way of another.
 *
 * Permissions and errors as for `readHolders`.
 *
 * @param path The file; it is neither created nor opened for access.
 * @param span The bytes that are to be locked.
 * @param mode How they are to be locked.
 */
export function readRangeHolders(
  path: string,
  span: ByteSpan,
  mode: LockMode,
): HolderInfo[] {
  return readLockParties(path).holders
    .filter((holder) => excludesRange(holder, span, mode));
}

/** The same for an error about something else: none where /proc is missing. */
export function readRangeHoldersIfAny(
  path: string,
  span: ByteSpan,
  mode: LockMode,
): HolderInfo[] {
  return ifKnown(() => readRangeHolders(path, span, mode)) ?? [];
}
