/**
 * Adding to a file that others add to as well.
 *
 * @module
 */

import { quotePath } from "../proc/printable.ts";
import { rejectArgument } from "../lock/check.ts";
import { type PathLike, toLockPath } from "../lock/lock_path.ts";
import { ENOSYS, EOPNOTSUPP } from "../sys/errno.ts";
import { LockError, SyscallError } from "../sys/error.ts";
import { readAt, statFd } from "../sys/file.ts";
import { tell, truncate, whileAlone } from "../sys/storage/content.ts";
import { type LockWaitOptions, WaitBudget } from "../acquire/budget.ts";
import { flockAttempt } from "../acquire/flock_attempt.ts";
import {
  check,
  checkSizeLimit,
  FILE_CALLS,
  type FileCalls,
  type OpenedFile,
} from "./file/calls.ts";

/** How {@linkcode appendToFile} writes. */
export interface AppendOptions extends LockWaitOptions {
  /**
   * Begin a new line if the file doesn't end with a line feed, as after a
   * writer without locks that was interrupted.
   */
  startNewLine?: boolean | undefined;
  /** Wait until the data is on disk. */
  sync?: boolean | undefined;
}

/** What {@linkcode appendToFile} wrote. */
export interface AppendResult {
  /** Where in the file the data begins. */
  startByte: bigint;
  /** The number of bytes, with the line feed before them if there is one. */
  lengthBytes: bigint;
}

const LINE_FEED = 0x0a;

/**
 * Appends to a file as one piece: never mixed with what others append at the
 * same time by this function, never in part when the disk is full, and never
 * to a file that has just been rotated away. What programs that take no lock
 * append meanwhile stays where it is.
 *
 * The file itself is locked. O_APPEND alone promises the first of these only
 * for one write(2), and on no network filesystem. The filesystem sets the
 * space aside first. One that can't do that (such as NFS) may find the disk
 * full in the middle: what was written of the piece is then cut off again if
 * nobody else has the file open; otherwise the error says how much it is.
 *
 * Permissions: `--allow-ffi`. See flock(2), write(2), fallocate(2).
 *
 * @param path The file; created if need be.
 * @param data Text is written as UTF-8.
 * @param options `startNewLine`, `sync`, `timeoutMs`, `signal`.
 * @returns Where it is.
 * @throws {LockTimeoutError} when the file was locked until the deadline.
 * @throws {SyscallError} when it can't be opened, locked or written.
 * @throws `signal.reason` when the signal aborts.
 *
 * @example
 * ```ts
 * import { appendToFile } from "@holdfast/holdfast/patterns";
 *
 * await appendToFile("/tmp/holdfast-example.log", "one line\n");
 * ```
 */
export async function appendToFile(
  path: PathLike,
  data: string | Uint8Array<ArrayBuffer>,
  options: AppendOptions = {},
): Promise<AppendResult> {
  return await appendBy(FILE_CALLS, path, data, options);
}

/** {@linkcode appendToFile} by some system calls. */
export async function appendBy(
  calls: FileCalls,
  path: PathLike,
  data: string | Uint8Array<ArrayBuffer>,
  options: AppendOptions = {},
): Promise<AppendResult> {
  const bytes = typeof data === "string"
    ? new TextEncoder().encode(data)
    : data;
  if (!(bytes instanceof Uint8Array)) {
    rejectArgument("data", "a string or a Uint8Array", bytes);
  }
  const budget = new WaitBudget(options);
  const target = toLockPath(path);
  using attempt = flockAttempt(target, {
    ...options,
    writing: "at-end",
    mode: "exclusive",
  });
  using lock = await budget.acquire(target, attempt);
  const file = { fd: lock.fd, path: lock.path };
  rejectEndless(file);
  const newLine = options.startNewLine && !endsLine(lock.fd);
  const piece = newLine ? withLineFeed(bytes) : bytes;
  const startByte = writeAtEnd(calls, file, piece);
  if (options.sync) {
    check(
      calls.sync(lock.fd),
      "fsync",
      lock.path,
      "the data has been appended",
    );
  }
  return { startByte, lengthBytes: BigInt(piece.length) };
}

/** A directory can be locked, and a device be written, but neither grows. */
function rejectEndless({ fd, path }: OpenedFile): void {
  const { type } = statFd(fd);
  if (type === "file") return;
  throw new LockError(
    `Cannot append to ${quotePath(path)}: it is a ${type}, not a regular file`,
  );
}

/**
 * Writes bytes at the end of a file, wherever that is by then: somebody who
 * takes no lock may append just now.
 *
 * @returns The offset they are at.
 */
function writeAtEnd(
  calls: FileCalls,
  file: OpenedFile,
  bytes: Uint8Array<ArrayBuffer>,
): bigint {
  const { fd, path } = file;
  const { size } = statFd(fd);
  const length = BigInt(bytes.length);
  checkSizeLimit(path, size + length);
  const reserved = calls.reserve(fd, size, length);
  if (reserved !== -EOPNOTSUPP && reserved !== -ENOSYS) {
    check(reserved, "fallocate", path, "nothing was appended");
  }
  const written = { bytes: 0, end: size, isWhole: true };
  while (written.bytes < bytes.length) {
    const count = calls.append(fd, bytes.subarray(written.bytes));
    if (count < 0) throw explainRest(file, -count, written);
    // Where O_APPEND has left it: the end of what was just written.
    const end = tell(fd);
    const start = end - BigInt(count);
    if (written.bytes > 0 && start !== written.end) written.isWhole = false;
    written.bytes += count;
    written.end = end;
  }
  return written.end - length;
}

/** As much of a piece as is in the file. */
interface Written {
  bytes: number;
  /** Where the last of them ends. */
  end: bigint;
  /** Whether nothing of others is between them. */
  isWhole: boolean;
}

/** What became of a piece that couldn't be written to its end. */
function explainRest(
  file: OpenedFile,
  errno: number,
  written: Written,
): SyscallError {
  const { bytes, end } = written;
  const advice = bytes === 0 || cutOff(file, written)
    ? "nothing was appended"
    : `${bytes} bytes of it are still there, up to byte ${end}: ` +
      "somebody else has the file open, and may append to it just now";
  return new SyscallError("append to", {
    syscall: "write",
    errno,
    path: file.path,
    advice,
  });
}

/**
 * Cuts off the bytes before an end that is still the file's.
 *
 * Between a look at the size and the cut somebody may append, whose data would
 * go too: so it is only done while nobody else has the file open.
 */
function cutOff({ fd }: OpenedFile, { bytes, end, isWhole }: Written): boolean {
  let isCut = false;
  whileAlone(fd, () => {
    if (!isWhole || statFd(fd).size !== end) return;
    isCut = truncate(fd, end - BigInt(bytes)) >= 0;
  });
  return isCut;
}

/** Whether the next byte of a file begins a line. */
function endsLine(fd: number): boolean {
  const { size } = statFd(fd);
  if (size === 0n) return true;
  const last = new Uint8Array(1);
  return readAt(fd, last, size - 1n) === 1 && last[0] === LINE_FEED;
}

function withLineFeed(
  bytes: Uint8Array<ArrayBuffer>,
): Uint8Array<ArrayBuffer> {
  const piece = new Uint8Array(bytes.length + 1);
  piece[0] = LINE_FEED;
  piece.set(bytes, 1);
  return piece;
}
