/**
 * Byte-range locks once they are held.
 *
 * @module
 */

import { closeFile, type FileStat } from "../../sys/file.ts";
import { closeElsewhere } from "../../sys/thread/parked_call.ts";
import { setDescriptorInheritable } from "../../sys/process/descriptors.ts";
import type { LockMode } from "../flock/flock.ts";
import type { HeldLock, LossWatch, WatchableLock } from "../held_lock.ts";
import type { OpenedLockFile } from "../lock_file.ts";
import { type OwnLock, ownRanges } from "../own_locks.ts";
import { type ByteSpan, spanToRange } from "./byte_span.ts";
import {
  guardPosixLock,
  type OwnPosixLock,
  removePosixLock,
} from "./posix_guard.ts";
import { RECORD_LOCK_COMMANDS, type RecordLockKind } from "./record_lock.ts";

/**
 * A held byte-range lock. `using` releases it at the end of the block; so does
 * the end of the process, however it ends.
 */
export interface RecordLockHandle extends HeldLock {
  /** The descriptor it was taken through. Don't close it. */
  readonly fd: number;
  /** OFD or POSIX. */
  readonly kind: RecordLockKind;
  /** Whether it was taken shared or exclusive. */
  readonly mode: LockMode;
  /** First locked byte. */
  readonly startByte: bigint;
  /** Last locked byte; `undefined` for the largest possible offset. */
  readonly endByte: bigint | undefined;
  /**
   * Lets commands started from now on inherit the lock, or not. Absent for
   * POSIX locks, which a child never has.
   */
  readonly setInheritable?: (inheritable: boolean) => void;
  /**
   * Releases the lock and closes its descriptor; the file stays. A second call
   * does nothing. Bytes that another handle of this process has locked too
   * stay locked.
   */
  release(): void;
}

/** A lock that the kernel has granted to a descriptor, or to this process. */
export class HeldRecordLock implements RecordLockHandle, WatchableLock {
  readonly path: string;
  readonly fd: number;
  readonly kind: RecordLockKind;
  readonly mode: LockMode;
  readonly startByte: bigint;
  readonly endByte: bigint | undefined;
  readonly setInheritable?: (inheritable: boolean) => void;
  readonly #file: FileStat;
  readonly #own: OwnPosixLock;
  readonly #listed: OwnLock;
  #held = true;
  #watch: LossWatch | undefined;

  /** Owns the descriptor from now on. */
  constructor(
    path: string,
    file: OpenedLockFile,
    kind: RecordLockKind,
    lock: OwnPosixLock,
  ) {
    this.path = path;
    this.fd = file.fd;
    this.kind = kind;
    this.mode = lock.mode;
    this.startByte = lock.startByte;
    this.endByte = lock.endByte;
    this.#file = file.stat;
    this.#own = lock;
    this.#listed = { fd: file.fd, mode: lock.mode, span: lock };
    if (kind === "ofd") {
      ownRanges.add(this.#listed);
      this.setInheritable = (inheritable) =>
        setDescriptorInheritable(this.fd, inheritable, this.path);
    } else {
      guardPosixLock(file.stat, lock);
    }
  }

  get held(): boolean {
    return this.#held && this.#watch?.held !== false;
  }

  get lost(): AbortSignal | undefined {
    return this.#watch?.lost;
  }

  watchBy(watch: LossWatch): void {
    this.#watch = watch;
  }

  release(): void {
    if (!this.#held) return;
    this.#held = false;
    ownRanges.delete(this.#listed);
    this.#watch?.end();
    const isLost = this.#watch?.lost.aborted === true;
    const unlock = (span: ByteSpan) =>
      isLost || RECORD_LOCK_COMMANDS[this.kind].set(
        this.fd,
        { type: "unlock", ...spanToRange(span) },
        { path: this.path },
      );
    try {
      // Unlocking first ends an OFD lock even where a child has inherited it.
      if (this.kind === "ofd") unlock(this.#own);
      else removePosixLock(this.#file, this.#own, unlock);
    } finally {
      // A server that can't be reached would hold this thread up.
      if (isLost) void closeElsewhere(this.fd);
      else closeFile(this.fd);
    }
  }

  [Symbol.dispose](): void {
    this.release();
  }
}
