/**
 * The kernel's two views of its locks: the list of all, and what the
 * descriptors that carry them say.
 *
 * @module
 */

import { parseProcLocks, type ProcLock } from "../proc/proc_locks.ts";
import { readText } from "../sys/file.ts";
import {
  type DescriptorScan,
  readDescriptorLocks,
  scanLockedDescriptors,
} from "./descriptor_scan.ts";
import { isSameLock, type JoinedLock } from "./lock_join.ts";

/** Both views, read one after the other. */
export interface LockViews extends DescriptorScan {
  /** The lines of /proc/locks. */
  lines: ProcLock[];
}

/**
 * Reads both views.
 *
 * The descriptors are read first, which takes long; then the list, which is
 * quick and has the last word. A lock taken in between is known by its taker
 * alone. Of one released in between there are only descriptors, at which
 * {@linkcode withoutReleased} looks again.
 *
 * @throws {SyscallError} when /proc can't be read.
 */
export function readLockViews(): LockViews {
  const scan = scanLockedDescriptors();
  let { unparsedLines } = scan;
  const lines = parseProcLocks(readText("/proc/locks"), {
    onError: () => unparsedLines++,
  });
  return { ...scan, lines, unparsedLines };
}

/** The locks that are listed, or that the list leaves out but are held. */
export function withoutReleased(locks: readonly JoinedLock[]): JoinedLock[] {
  return locks.filter((lock) =>
    lock.listed || isHidden(lock.line) || isStillThere(lock)
  );
}

/** Whether /proc/locks leaves a lock out: its taker has no pid here. */
function isHidden(line: ProcLock): boolean {
  return line.pid === 0;
}

function isStillThere({ line, descriptors }: JoinedLock): boolean {
  return descriptors.some(({ pid, fd }) =>
    readDescriptorLocks(pid, fd).some((lock) => isSameLock(lock, line))
  );
}
