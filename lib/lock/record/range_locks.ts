/**
 * The classical five of record locking, and their test, on an open file.
 *
 * They take OFD locks unless told otherwise. POSIX locks taken here are bare:
 * the process loses them when anything closes any descriptor of the file, and
 * holdfast guards only those of `tryRecordLock` and its relatives.
 *
 * @module
 */

import { closeFile } from "../../sys/file.ts";
import type { BlockOptions } from "../flock/flock.ts";
import { openLockFile, type OpenLockFileOptions } from "../lock_file.ts";
import { checkDescriptor, checkWord } from "../check.ts";
import { type PathLike, toPath } from "../lock_path.ts";
import {
  type BlockingLock,
  type ByteRange,
  RECORD_LOCK_COMMANDS,
  type RecordLockKind,
  type RecordLockType,
  type RecordWhence,
} from "./record_lock.ts";

/** Which bytes, counted from where, and which kind of lock. */
export interface RangeLockOptions extends ByteRange {
  /** Where `startByte` is counted from; `set`, the file's start, unless set. */
  whence?: RecordWhence | undefined;
  /** `ofd` unless set. */
  kind?: RecordLockKind | undefined;
}

/** Something with an open descriptor, or the descriptor itself. */
export type DescriptorOwner = number | { readonly fd: number };

/** A file open for record locks; `using` closes it at the end of the block. */
export class LockableFile implements Disposable {
  /** The path it was opened by. */
  readonly path: string;
  /** The descriptor, close-on-exec. Don't close it. */
  readonly fd: number;
  #open = true;

  /**
   * Opens a file, creating it if need be, without locking anything.
   *
   * Permissions: `--allow-ffi`.
   *
   * @param path The file.
   * @param options What to create and how to open.
   * @throws {SyscallError} when it can't be opened or created.
   * @throws {LockError} when what stands there can't be a lock file.
   */
  constructor(path: PathLike, options: OpenLockFileOptions = {}) {
    this.path = toPath(path);
    this.fd = openLockFile(this.path, options).fd;
  }

  /** Closes the file, which releases its OFD locks; again does nothing. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    closeFile(this.fd);
  }

  /** Closes the file; see {@linkcode LockableFile.close}. */
  [Symbol.dispose](): void {
    this.close();
  }
}

function commandsOf(kind: RecordLockKind) {
  checkWord(kind, Object.keys(RECORD_LOCK_COMMANDS), "kind");
  return RECORD_LOCK_COMMANDS[kind];
}

function descriptorOf(file: DescriptorOwner): number {
  const fd = typeof file === "number" ? file : file?.fd;
  checkDescriptor(fd, "file");
  return fd;
}

function set(
  file: DescriptorOwner,
  type: RecordLockType,
  { kind = "ofd", ...range }: RangeLockOptions,
): boolean {
  return commandsOf(kind).set(descriptorOf(file), { type, ...range });
}

function setWait(
  file: DescriptorOwner,
  type: RecordLockType,
  options: RangeLockOptions & BlockOptions,
): boolean {
  const { kind = "ofd", timeoutMs, onTick, tickMs, ...range } = options;
  return commandsOf(kind).setWait(
    descriptorOf(file),
    { type, ...range },
    { timeoutMs, onTick, tickMs },
  );
}

/**
 * Takes a shared lock on a range, without waiting.
 *
 * Permissions: `--allow-ffi`. See fcntl(2).
 *
 * @param file The open file, readable.
 * @param options The range and the kind of lock.
 * @returns Whether the lock is held now.
 * @throws {SyscallError} when the kernel can't lock it at all.
 *
 * @example
 * ```ts
 * import { LockableFile, readLock, unLock } from "@holdfast/holdfast/record-lock";
 *
 * using file = new LockableFile("/tmp/holdfast-example.db");
 * if (readLock(file, { startByte: 0n, lengthBytes: 100n })) {
 *   unLock(file, { startByte: 50n, lengthBytes: 10n }); // leaves two ranges
 * }
 * ```
 */
export function readLock(
  file: DescriptorOwner,
  options: RangeLockOptions = {},
): boolean {
  return set(file, "read", options);
}

/**
 * Takes a shared lock on a range, asleep in the kernel until it is free.
 *
 * @param file The open file, readable.
 * @param options The range, the kind, and `timeoutMs` to give up.
 * @returns Whether the lock is held now; `false` only after `timeoutMs`.
 * @throws {SyscallError} when the kernel can't lock it at all.
 */
export function readwLock(
  file: DescriptorOwner,
  options: RangeLockOptions & BlockOptions = {},
): boolean {
  return setWait(file, "read", options);
}

/**
 * Takes an exclusive lock on a range, without waiting.
 *
 * @param file The open file, writable.
 * @param options The range and the kind of lock.
 * @returns Whether the lock is held now.
 * @throws {SyscallError} when the kernel can't lock it at all.
 */
export function writeLock(
  file: DescriptorOwner,
  options: RangeLockOptions = {},
): boolean {
  return set(file, "write", options);
}

/**
 * Takes an exclusive lock on a range, asleep in the kernel until it is free.
 *
 * @param file The open file, writable.
 * @param options The range, the kind, and `timeoutMs` to give up.
 * @returns Whether the lock is held now; `false` only after `timeoutMs`.
 * @throws {SyscallError} when the kernel can't lock it at all.
 */
export function writewLock(
  file: DescriptorOwner,
  options: RangeLockOptions & BlockOptions = {},
): boolean {
  return setWait(file, "write", options);
}

/**
 * Releases a range, which may be part of what was locked.
 *
 * @param file The open file.
 * @param options The range and the kind of lock.
 * @throws {SyscallError} when the descriptor isn't open, or there is no such
 * range.
 */
export function unLock(
  file: DescriptorOwner,
  options: RangeLockOptions = {},
): void {
  set(file, "unlock", options);
}

/**
 * Says which lock is in the way of one that would be taken here.
 *
 * @param file The open file.
 * @param type The lock that would be taken.
 * @param options The range and the kind of lock.
 * @returns The first lock in the way; `undefined` when it would be granted.
 * @throws {SyscallError} when the kernel can't tell.
 */
export function testLock(
  file: DescriptorOwner,
  type: "read" | "write",
  { kind = "ofd", ...range }: RangeLockOptions = {},
): BlockingLock | undefined {
  return commandsOf(kind).get(descriptorOf(file), { type, ...range });
}

/** What {@linkcode lockf} does, after the F_ constants of lockf(3). */
export type LockfCommand = "lock" | "tlock" | "ulock" | "test";

/**
 * lockf(3): an exclusive lock on the bytes from the file's present offset on,
 * which is all of a file just opened.
 *
 * @param file The open file, writable.
 * @param command `lock` waits in the kernel; `tlock` takes it if it is free;
 * `ulock` releases it; `test` asks whether another holds it.
 * @param lengthBytes How many bytes; 0 for all that follow, however the file
 * grows; negative for those before the offset.
 * @param options The kind of lock, and `timeoutMs` for `lock`.
 * @returns Whether it was done; for `test`, whether the lock is free.
 * @throws {SyscallError} when the kernel can't do it at all.
 *
 * @example
 * ```ts
 * import { LockableFile, lockf } from "@holdfast/holdfast/record-lock";
 *
 * using file = new LockableFile("/tmp/holdfast-example.db");
 * console.log(lockf(file, "tlock") ? "got it" : "busy");
 * ```
 */
export function lockf(
  file: DescriptorOwner,
  command: LockfCommand,
  lengthBytes: bigint = 0n,
  options: Pick<RangeLockOptions, "kind"> & BlockOptions = {},
): boolean {
  const { kind } = options;
  const range = { whence: "current", lengthBytes, kind } as const;
  switch (command) {
    case "lock":
      return writewLock(file, { ...options, ...range });
    case "tlock":
      return writeLock(file, range);
    case "ulock":
      unLock(file, range);
      return true;
    case "test":
      return testLock(file, "write", range) === undefined;
  }
  throw new TypeError(`lockf has no command ${command satisfies never}`);
}
