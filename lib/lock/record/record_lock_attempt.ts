/**
 * Taking byte-range locks on a file by its path.
 *
 * @module
 */

import type { ParkedCall } from "../../sys/thread/parked_call.ts";
import { checkOptions, checkTimeout, checkWord } from "../check.ts";
import type { BlockOptions, LockMode } from "../flock/flock.ts";
import type { OpenedLockFile } from "../lock_file.ts";
import type { LockPath, PathLike } from "../lock_path.ts";
import {
  LockAttempt,
  type LockAttemptOptions,
  type LockFileOptions,
} from "../lock_attempt.ts";
import { isEndless, ownRanges } from "../own_locks.ts";
import { SelfDeadlockError } from "../self_deadlock_error.ts";
import { type ByteSpan, rangeToSpan, recordLockRequest } from "./byte_span.ts";
import { findOwnConflict } from "./posix_guard.ts";
import {
  type ByteRange,
  parkOfdSetlkw,
  RECORD_LOCK_COMMANDS,
  type RecordLockKind,
  type RecordLockRequest,
} from "./record_lock.ts";
import { HeldRecordLock, type RecordLockHandle } from "./record_lock_handle.ts";

/** Which lock is taken. */
export interface RecordLockTarget {
  /** The bytes, counted from the file's start; all of them unless set. */
  range?: ByteRange | undefined;
  /** `ofd` unless set; `posix` has traps that `ofd` has not. */
  kind?: RecordLockKind | undefined;
  /** Shared or exclusive; exclusive unless set. */
  mode?: LockMode | undefined;
}

/** Which lock is taken, and how its file is opened. */
export interface RecordLockOptions extends RecordLockTarget, LockFileOptions {}

/**
 * One file on its way to having a range of it locked. It stays open between
 * attempts, and is opened anew when the name has come to mean another file.
 */
export class RecordLockAttempt extends LockAttempt {
  /** The bytes that are asked for. */
  readonly span: ByteSpan;
  /** Other programs unlock a range and keep the file open. */
  readonly isReleasedSilently = true;
  readonly #kind: RecordLockKind;
  #granted: RecordLockHandle | undefined;

  /**
   * Opens nothing yet.
   *
   * @throws {RangeError} when there is no such range.
   */
  constructor(
    path: PathLike | LockPath,
    options: RecordLockTarget & LockAttemptOptions,
  ) {
    checkOptions(options);
    super(path, options.mode ?? "exclusive", options);
    this.#kind = options.kind ?? "ofd";
    checkWord(this.#kind, Object.keys(RECORD_LOCK_COMMANDS), "kind");
    this.span = rangeToSpan(options.range);
  }

  /** Takes the lock if it is free; the handle then owns the descriptor. */
  try(): RecordLockHandle | undefined {
    const granted = this.#granted;
    this.#granted = undefined;
    return granted ??
      this.#lock((file, request) =>
        !this.#isOwn(file, request) &&
        RECORD_LOCK_COMMANDS[this.#kind].set(file.fd, request, {
          path: this.path.given,
        })
      );
  }

  /**
   * Waits in the kernel for an OFD lock, on a thread of its own. Once the call
   * has succeeded the lock is held by the open file:
   * {@linkcode RecordLockAttempt.try} gives its handle, disposing of the
   * attempt gives it up.
   *
   * @returns The waiting call; `undefined` when it can't be parked.
   */
  park(): ParkedCall | undefined {
    // A POSIX lock would go to the whole process, which may hold others.
    if (this.#kind === "posix") return undefined;
    const { fd, span } = this;
    const call = parkOfdSetlkw(fd, recordLockRequest(span, this.mode));
    if (call !== undefined) {
      ownRanges.addWait({ fd, mode: this.mode, span }, call.ended);
    }
    return call;
  }

  /**
   * Has this thread sleep in the kernel until it has got the lock, which
   * {@linkcode RecordLockAttempt.try} then gives.
   *
   * @returns Whether it has; `false` after the timeout.
   * @throws {SelfDeadlockError} as for {@linkcode RecordLockAttempt.block}.
   */
  sleep(options: BlockOptions): boolean {
    // A POSIX lock is the process's: a second call wouldn't know it for ours.
    this.#granted ??= this.block(options);
    return this.#granted !== undefined;
  }

  /**
   * Waits in the kernel for the lock; `undefined` after the timeout.
   *
   * @throws {SelfDeadlockError} when it would sleep for ever, or this process
   * itself holds a POSIX lock in the way, which it can't release meanwhile.
   */
  block(options: BlockOptions): RecordLockHandle | undefined {
    const { timeoutMs = Infinity } = options;
    checkTimeout(timeoutMs);
    const deadline = performance.now() + timeoutMs;
    return this.#lock((file, request) =>
      this.#sleepOn(file, request, {
        ...options,
        timeoutMs: Math.max(0, deadline - performance.now()),
      })
    );
  }

  #sleepOn(
    file: OpenedLockFile,
    request: RecordLockRequest,
    options: BlockOptions,
  ): boolean {
    const path = this.path.given;
    const { set, setWait } = RECORD_LOCK_COMMANDS[this.#kind];
    const wanted = { mode: this.mode, span: this.span };
    if (this.#isOwn(file, request)) throw ownPosixLock(path);
    if (set(file.fd, request, { path })) return true;
    ownRanges.rejectSleep(file, path, wanted, options);
    if (
      isEndless(options) &&
      findOwnConflict(file.stat, { ...this.span, mode: this.mode })
    ) throw ownPosixLock(path);
    return setWait(file.fd, request, { ...options, path });
  }

  /**
   * The kernel grants a process what it asks for over its own POSIX locks, and
   * merges the two. Asked on behalf of an open file description, it names
   * them: also those of other threads, and of libraries in this process.
   */
  #isOwn(file: OpenedLockFile, request: RecordLockRequest): boolean {
    if (this.#kind === "ofd") return false;
    if (findOwnConflict(file.stat, { ...this.span, mode: this.mode })) {
      return true;
    }
    const { get } = RECORD_LOCK_COMMANDS.ofd;
    return get(file.fd, request)?.pid === Deno.pid;
  }

  #lock(
    lockFile: (file: OpenedLockFile, request: RecordLockRequest) => boolean,
  ): RecordLockHandle | undefined {
    const request = recordLockRequest(this.span, this.mode);
    return this.lock((file) =>
      lockFile(file, request)
        ? new HeldRecordLock(this.path.given, file, this.#kind, {
          ...this.span,
          mode: this.mode,
        })
        : undefined
    );
  }

  /** Gives up what no handle has been given for, and closes the descriptor. */
  override [Symbol.dispose](): void {
    this.#granted?.release();
    super[Symbol.dispose]();
  }
}

function ownPosixLock(path: string): SelfDeadlockError {
  return new SelfDeadlockError({
    path,
    holderPid: Deno.pid,
    relation: "self",
  });
}

/**
 * Takes a byte-range lock on a file if it is free.
 *
 * The file is created if need be. An exclusive lock needs a file that may be
 * written. OFD locks are the default: a POSIX lock is lost as soon as anything
 * in this process closes any descriptor of the file, isn't seen by other
 * handles on other threads, and isn't inherited. Between handles of holdfast
 * POSIX locks exclude each other all the same, and descriptors that holdfast
 * would close meanwhile stay open until the last POSIX lock on their file is
 * released; what `Deno.open`, Workers or libraries close can't be guarded.
 *
 * Permissions: `--allow-ffi`. See fcntl(2), F_GETLK(2const).
 *
 * @param path The file.
 * @param options `range`, `kind` and `mode`, and how to open the file.
 * @returns The held lock, or `undefined` when somebody else holds one in the
 * way.
 * @throws {SyscallError} when the file can't be opened or locked.
 * @throws {RangeError} when there is no such range.
 *
 * @example
 * ```ts
 * import { tryRecordLock } from "@holdfast/holdfast/record-lock";
 *
 * using lock = tryRecordLock("/tmp/holdfast-example.db", {
 *   range: { startByte: 100n, lengthBytes: 10n },
 * });
 * console.log(lock ? "got it" : "busy");
 * ```
 */
export function tryRecordLock(
  path: PathLike,
  options: RecordLockOptions = {},
): RecordLockHandle | undefined {
  using attempt = new RecordLockAttempt(path, options);
  return attempt.try();
}
