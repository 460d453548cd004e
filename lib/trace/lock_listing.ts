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

/** The lines of both, and each as often as in the one that has more of it. */
export function joinListings(first: string, second: string): string {
  const counts = new Map<string, number>();
  const lines = first.split("\n");
  for (const line of lines) {
    const lock = withoutNumber(line);
    counts.set(lock, (counts.get(lock) ?? 0) + 1);
  }
  for (const line of second.split("\n")) {
    const lock = withoutNumber(line);
    const count = counts.get(lock) ?? 0;
    if (count > 0) counts.set(lock, count - 1);
    else lines.push(line);
  }
  return lines.join("\n");
}

/** Each reading counts the locks anew. */
function withoutNumber(line: string): string {
  return line.replace(/^\d+: /, "");
}
