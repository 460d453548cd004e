/**
 * /proc/locks, as whole as it can be had.
 *
 * @module
 */

import { parseProcLocks, type ProcLock } from "../proc/proc_locks.ts";
import { readText } from "../sys/file.ts";

/**
 * A reading that is shorter is of one piece. The kernel makes a page at a time,
 * and what is released in between moves other lines across the border.
 */
const ONE_PIECE = 3500;

/**
 * The locks that are listed. A lock that is held all the time is among them,
 * however many others come and go: of a long list there are two readings.
 *
 * @throws {SyscallError} when /proc/locks can't be read.
 */
export function readLockListing(): ProcLock[] {
  const first = readText("/proc/locks");
  const text = first.length < ONE_PIECE
    ? first
    : joinListings(first, readText("/proc/locks"));
  return parseProcLocks(text, { onError: () => {} });
}

/**
 * The lines of both. Those that are in both are as often there as in the one
 * that has fewer of it: a torn reading may have a lock twice.
 */
export function joinListings(first: string, second: string): string {
  const left = countLines(second);
  const lines = first.split("\n").filter((line) => {
    const lock = withoutNumber(line);
    const count = left.get(lock);
    if (count === undefined) return true;
    left.set(lock, count - 1);
    return count > 0;
  });
  const known = countLines(first);
  for (const line of second.split("\n")) {
    if (!known.has(withoutNumber(line))) lines.push(line);
  }
  return lines.join("\n");
}

function countLines(text: string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const line of text.split("\n")) {
    const lock = withoutNumber(line);
    counts.set(lock, (counts.get(lock) ?? 0) + 1);
  }
  return counts;
}

/** Each reading counts the locks anew. */
function withoutNumber(line: string): string {
  return line.replace(/^\d+: /, "");
}
