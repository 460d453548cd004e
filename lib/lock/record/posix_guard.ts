/**
 * What keeps POSIX record locks from being dropped or shared unawares within
 * one process.
 *
 * The kernel drops all POSIX locks that a process has on a file when the
 * process closes any descriptor of it (close(2) calls locks_remove_posix), and
 * grants a process whatever it asks for over its own locks. So, while holdfast
 * holds a POSIX lock on a file, every descriptor of that file that holdfast
 * would close is kept open instead, and closed together with the last such
 * lock. Descriptors that others close (`Deno.readTextFile`, a Worker, a
 * library) are out of reach: that is why OFD locks are the default.
 *
 * @module
 */

import { SyscallError } from "../../sys/error.ts";
import {
  closeFile,
  deferCloses,
  type FileStat,
  O_PATH,
  statFd,
} from "../../sys/file.ts";
import { openFlags } from "../../sys/process/descriptors.ts";
import type { LockMode } from "../flock/flock.ts";
import { type ByteSpan, spansOverlap, subtractSpan } from "./byte_span.ts";

/** A POSIX lock of this process, as one handle of holdfast has it. */
export interface OwnPosixLock extends ByteSpan {
  /** Shared or exclusive. */
  mode: LockMode;
}

interface GuardedFile {
  readonly locks: Set<OwnPosixLock>;
  /** Descriptors to be closed with the last lock. */
  readonly deferred: number[];
}

const guardedFiles = new Map<string, GuardedFile>();

function fileKey(file: FileStat): string {
  return `${file.deviceMajor}:${file.deviceMinor}:${file.inode}`;
}

/**
 * A lock of this process, held by holdfast, that another handle must respect.
 *
 * @param file What the descriptor to be locked refers to.
 * @param wanted The lock that another handle asks for.
 */
export function findOwnConflict(
  file: FileStat,
  wanted: OwnPosixLock,
): OwnPosixLock | undefined {
  for (const lock of guardedFiles.get(fileKey(file))?.locks ?? []) {
    const compatible = lock.mode === "shared" && wanted.mode === "shared";
    if (!compatible && spansOverlap(lock, wanted)) return lock;
  }
  return undefined;
}

/** From now on descriptors of the file stay open until the lock is removed. */
export function guardPosixLock(file: FileStat, lock: OwnPosixLock): void {
  const key = fileKey(file);
  let guarded = guardedFiles.get(key);
  if (guarded === undefined) {
    guarded = { locks: new Set(), deferred: [] };
    guardedFiles.set(key, guarded);
    deferCloses(keepOpen);
  }
  guarded.locks.add(lock);
}

/**
 * Ends the guard for a lock.
 *
 * @param unlock Releases a span in the kernel: called for what no other lock
 * of this process covers, since the kernel holds all as one.
 */
export function removePosixLock(
  file: FileStat,
  lock: OwnPosixLock,
  unlock: (span: ByteSpan) => void,
): void {
  const key = fileKey(file);
  const guarded = guardedFiles.get(key);
  if (guarded === undefined || !guarded.locks.delete(lock)) return;
  let spans: ByteSpan[] = [lock];
  for (const other of guarded.locks) {
    spans = spans.flatMap((span) => subtractSpan(span, other));
  }
  try {
    spans.forEach(unlock);
  } finally {
    if (guarded.locks.size === 0) {
      guardedFiles.delete(key);
      if (guardedFiles.size === 0) deferCloses(undefined);
      guarded.deferred.forEach(closeFile);
    }
  }
}

/** Whether the descriptor must outlive this attempt to close it. */
function keepOpen(fd: number): boolean {
  let file: FileStat;
  try {
    file = statFd(fd);
  } catch (error) {
    // It isn't open.
    if (error instanceof SyscallError) return false;
    throw error;
  }
  const guarded = guardedFiles.get(fileKey(file));
  if (guarded === undefined) return false;
  // Only a handle on the name: its close doesn't reach the locks.
  const flags = openFlags(fd);
  if (flags >= 0 && (flags & O_PATH) !== 0) return false;
  guarded.deferred.push(fd);
  return true;
}
