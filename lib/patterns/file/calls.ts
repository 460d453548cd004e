/**
 * The system calls by which the content of files is changed, in one object: to
 * prove that no content is lost, each is made to fail, and the process to die
 * between any two.
 *
 * @module
 */

import { EFBIG } from "../../sys/errno.ts";
import { SyscallError } from "../../sys/error.ts";
import {
  O_CLOEXEC,
  O_CREAT,
  O_EXCL,
  O_NOFOLLOW,
  O_RDWR,
  readToEnd,
} from "../../sys/file.ts";
import {
  removeAttribute,
  setAttribute,
  setOwner,
  setPermissions,
} from "../../sys/storage/attributes.ts";
import {
  fileSizeLimit,
  reserve,
  rewind,
  sync,
  truncate,
  writeAt,
  writeNext,
} from "../../sys/storage/content.ts";
import {
  exchangeAt,
  openAt,
  renameAt,
  unlinkAt,
} from "../../sys/storage/names.ts";
import { syncDirectory } from "../../sys/storage/directory.ts";

const NEW_FILE = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;

/** Each gives a number: 0, a count or a descriptor, or minus the error number. */
export const FILE_CALLS = {
  /** Creates a file that only its owner may read. */
  create: (dirFd: number, name: string): number =>
    openAt(dirFd, name, NEW_FILE, 0o600),
  writeAt,
  append: writeNext,
  reserve,
  truncate,
  sync,
  setOwner,
  setPermissions,
  setAttribute,
  removeAttribute,
  rename: renameAt,
  exchange: exchangeAt,
  unlink: unlinkAt,
  syncDirectory,
};

/** What can be put in place of {@linkcode FILE_CALLS}. */
export type FileCalls = typeof FILE_CALLS;

/** A file that is being changed. */
export interface OpenedFile {
  fd: number;
  /** Names it in errors. */
  path: string;
}

/**
 * Goes on if a call has succeeded.
 *
 * @param result What it gave.
 * @param syscall Its C name.
 * @throws {SyscallError} when it has failed.
 */
export function check(
  result: number,
  syscall: string,
  path: string,
  advice?: string,
): void {
  if (result >= 0) return;
  throw new SyscallError("write", { syscall, errno: -result, path, advice });
}

/**
 * The same failure, said of the file that was to be changed, and what has
 * become of that.
 */
export function explainFailure(
  error: unknown,
  path: string,
  advice: string,
): unknown {
  if (!(error instanceof SyscallError)) return error;
  const { syscall, errno } = error;
  return new SyscallError("change", { syscall, errno, path, advice });
}

/** All bytes of an open file, from its start. */
export function readFromStart(
  { fd, path }: OpenedFile,
): Uint8Array<ArrayBuffer> {
  rewind(fd);
  const bytes = readToEnd(fd);
  if (typeof bytes !== "number") return bytes;
  throw new SyscallError("read", { syscall: "read", errno: -bytes, path });
}

/** Writes all bytes from an offset on, however many calls that takes. */
export function writeAllAt(
  calls: FileCalls,
  { fd, path }: OpenedFile,
  bytes: Uint8Array<ArrayBuffer>,
  offset: number,
): void {
  for (let done = 0; done < bytes.length;) {
    const at = BigInt(offset + done);
    const count = calls.writeAt(fd, bytes.subarray(done), at);
    check(count, "pwrite", path);
    done += count;
  }
}

/**
 * Refuses to make a file longer than this process may: the signal that the
 * kernel sends for that would end it between two writes.
 *
 * @throws {SyscallError} with EFBIG, as where the signal is ignored.
 */
export function checkSizeLimit(path: string, length: bigint): void {
  const limit = fileSizeLimit();
  if (length <= limit) return;
  throw new SyscallError("write", {
    syscall: "pwrite",
    errno: EFBIG,
    path,
    advice: `it would be ${length} bytes long, and this process may write ` +
      `${limit}; see ulimit -f`,
  });
}
