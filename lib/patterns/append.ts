/**
 * Adding to a file that others add to as well.
 *
 * @module
 */

import { callLibc } from "../sys/call.ts";
import { O_APPEND, statFd } from "../sys/file.ts";
import { libc } from "../sys/libc.ts";
import {
  type CoordOptions,
  openAttempt,
  WaitBudget,
} from "../acquire/budget.ts";
import { syncFile, truncateFile, writeAt } from "./write_file.ts";

/** How {@linkcode appendToFile} writes. */
export interface AppendOptions extends CoordOptions {
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
 * to a file that has just been rotated away.
 *
 * The file itself is locked. O_APPEND alone promises the first of these only
 * for one write(2), and on no network filesystem.
 *
 * Permissions: `--allow-ffi`. See flock(2), write(2).
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
  path: string,
  data: string | Uint8Array<ArrayBuffer>,
  options: AppendOptions = {},
): Promise<AppendResult> {
  const bytes = typeof data === "string"
    ? new TextEncoder().encode(data)
    : data;
  const budget = new WaitBudget(options);
  using attempt = openAttempt(path, "exclusive", options);
  using lock = await budget.take(path, attempt);
  if (lock === undefined) throw await budget.timeoutError(path);
  const newLine = options.startNewLine && !endsLine(lock.fd);
  const piece = newLine ? withLineFeed(bytes) : bytes;
  const startByte = writeAtEnd(lock.fd, path, piece);
  if (options.sync) syncFile(lock.fd, path);
  return { startByte, lengthBytes: BigInt(piece.length) };
}

const F_SETFL = 4;

/**
 * Writes bytes at the end of a file; if not all of them can be written, none
 * are.
 *
 * @returns The offset they are at.
 */
function writeAtEnd(
  fd: number,
  path: string,
  bytes: Uint8Array<ArrayBuffer>,
): bigint {
  // Somebody who takes no lock may append just now. With O_APPEND, Linux
  // writes to the end whatever the offset; see BUGS in pwrite(2).
  libc.fcntl_int(fd, F_SETFL, O_APPEND);
  const { size } = statFd(fd);
  try {
    writeAt(fd, path, bytes, size);
  } catch (error) {
    truncateFile(fd, path, size);
    throw error;
  }
  return size;
}

/** Whether the next byte of a file begins a line. */
function endsLine(fd: number): boolean {
  const { size } = statFd(fd);
  if (size === 0n) return true;
  const last = new Uint8Array(1);
  const count = callLibc(() => libc.pread(fd, last, 1n, size - 1n));
  return count === 1 && last[0] === LINE_FEED;
}

function withLineFeed(
  bytes: Uint8Array<ArrayBuffer>,
): Uint8Array<ArrayBuffer> {
  const piece = new Uint8Array(bytes.length + 1);
  piece[0] = LINE_FEED;
  piece.set(bytes, 1);
  return piece;
}
