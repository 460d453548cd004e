/**
 * A line of state kept in a lock file, which says itself that it is holdfast's:
 * `holdfast KIND 1 STATE`.
 *
 * @module
 */

import { quotePath } from "../proc/printable.ts";
import { EBADF } from "../sys/errno.ts";
import { LockError, SyscallError } from "../sys/error.ts";
import { readAt, statFd } from "../sys/file.ts";
import { truncate, writeAt } from "../sys/storage/content.ts";

/** More than any state takes. */
const MAX_BYTES = 256;

const STATE = /^holdfast ([a-z]+) 1 ([^\n]*)\n$/;

/** Kind and text of a state, or `undefined` when a text is none of ours. */
export function parseState(
  text: string,
): { kind: string; text: string } | undefined {
  const [, kind, state] = STATE.exec(text) ?? [];
  return kind === undefined || state === undefined
    ? undefined
    : { kind, text: state };
}

/** The first bytes of an open file as text. */
export function readHead(fd: number, path: string): string {
  const buffer = new Uint8Array(MAX_BYTES);
  const length = readAt(fd, buffer, 0n);
  if (length < 0) {
    throw new SyscallError("read", { syscall: "pread", errno: -length, path });
  }
  return new TextDecoder().decode(buffer.subarray(0, length));
}

/**
 * Reads the state of a lock file.
 *
 * @returns The state, or `undefined` when the file is empty.
 * @throws {LockError} when it has content that isn't such state.
 * @throws {SyscallError} when it can't be read.
 */
export function readState(
  fd: number,
  path: string,
  kind: string,
): string | undefined {
  const text = readHead(fd, path);
  if (text === "") return undefined;
  const state = parseState(text);
  if (state?.kind === kind) return state.text;
  throw new LockError(
    `Cannot keep a ${kind} in ${quotePath(path)}: it has other content; ` +
      "choose another file",
  );
}

/**
 * Writes the state of a lock file, in place: those who wait for the lock have
 * this very file open.
 *
 * @throws {SyscallError} when it can't be written.
 */
export function writeState(
  fd: number,
  path: string,
  kind: string,
  state: string,
): void {
  const bytes = new TextEncoder().encode(`holdfast ${kind} 1 ${state}\n`);
  const written = writeAt(fd, bytes, 0n);
  // To cut a file makes some filesystems flush it.
  const result = written < 0 || statFd(fd).size <= BigInt(bytes.length)
    ? written
    : truncate(fd, BigInt(bytes.length));
  if (result >= 0) return;
  throw new SyscallError("write", {
    syscall: written < 0 ? "pwrite" : "ftruncate",
    errno: -result,
    path,
    advice: result === -EBADF ? "the file must be writable" : undefined,
  });
}
