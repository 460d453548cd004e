/**
 * The locks of this isolate, for a thread that is about to sleep until one is
 * released: asleep, it releases none itself.
 *
 * @module
 */

import { SyscallError } from "../sys/error.ts";
import { isSameFile, statFd } from "../sys/file.ts";
import type { OpenedLockFile } from "./lock_file.ts";
import { type ByteSpan, spansOverlap } from "./record/byte_span.ts";
import { SelfDeadlockError } from "./self_deadlock_error.ts";

/** A lock that is held, or waited for. */
export interface OwnLock {
  /** The open file that has it, or is to have it. */
  readonly fd: number;
  /** Shared or exclusive. */
  readonly mode: "exclusive" | "shared";
  /** Which bytes; all of them unless set. */
  readonly span?: ByteSpan | undefined;
  /** `false` for one that was lost. */
  readonly held?: boolean;
}

/** How a sleep ends without the lock. */
export interface SleepOptions {
  /** Milliseconds until it ends without it. */
  timeoutMs?: number | undefined;
  /** It may go on for ever. */
  allowNested?: boolean | undefined;
}

/** Whether a sleep ends with the lock, or never. */
export function isEndless(
  { timeoutMs = Infinity, allowNested = false }: SleepOptions,
): boolean {
  return timeoutMs === Infinity && !allowNested;
}

/** The locks of one kind. */
export class OwnLocks {
  readonly #held = new Set<OwnLock>();
  readonly #awaited = new Set<OwnLock>();

  /** From now on it is held. */
  add(lock: OwnLock): void {
    this.#held.add(lock);
  }

  /** It is held no longer. */
  delete(lock: OwnLock): void {
    this.#held.delete(lock);
  }

  /** Another thread sleeps until it has been granted, or has given up. */
  async addWait(lock: OwnLock, ended: Promise<void>): Promise<void> {
    this.#awaited.add(lock);
    await ended;
    this.#awaited.delete(lock);
  }

  /**
   * Refuses to let this thread sleep without end for a lock that this isolate
   * holds; or may get before the thread wakes, since it waits for it elsewhere
   * too.
   *
   * @param file The open file that is to have the lock.
   * @param path Names it in the error.
   * @throws {SelfDeadlockError} when there is such a lock.
   */
  rejectSleep(
    file: OpenedLockFile,
    path: string,
    wanted: Omit<OwnLock, "fd">,
    options: SleepOptions,
  ): void {
    if (!isEndless(options)) return;
    const inTheWay = (lock: OwnLock) =>
      lock.fd !== file.fd && lock.held !== false && excludes(lock, wanted) &&
      isOpenAs(lock.fd, file);
    const isHeld = this.#held.values().some(inTheWay);
    if (!isHeld && !this.#awaited.values().some(inTheWay)) return;
    throw new SelfDeadlockError({
      path,
      holderPid: Deno.pid,
      relation: "self",
      isAwaited: !isHeld,
    });
  }
}

function excludes(a: Omit<OwnLock, "fd">, b: Omit<OwnLock, "fd">): boolean {
  const isCompatible = a.mode === "shared" && b.mode === "shared";
  return !isCompatible && (a.span === undefined || b.span === undefined ||
    spansOverlap(a.span, b.span));
}

function isOpenAs(fd: number, { stat }: OpenedLockFile): boolean {
  try {
    return isSameFile(statFd(fd), stat);
  } catch (error) {
    // Somebody has closed it.
    if (error instanceof SyscallError) return false;
    throw error;
  }
}

/** Those by flock(2). */
export const ownFlocks: OwnLocks = new OwnLocks();

/** Those by fcntl(2), of open files. */
export const ownRanges: OwnLocks = new OwnLocks();
