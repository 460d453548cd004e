/**
 * Giving a file new content in place, so that a failure of any call leaves the
 * old, and the death of the process a copy of it.
 *
 * @module
 */

import { quotePath } from "../../proc/printable.ts";
import { ENOENT, ENOSYS, EOPNOTSUPP } from "../../sys/errno.ts";
import { LockError, SyscallError } from "../../sys/error.ts";
import {
  closeFile,
  type FileStat,
  O_CLOEXEC,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
  readToEnd,
  statAt,
  statFd,
} from "../../sys/file.ts";
import { currentUid } from "../../sys/process/environment.ts";
import { readAttribute } from "../../sys/storage/attributes.ts";
import { openAt } from "../../sys/storage/names.ts";
import type { FilePlace } from "../../sys/storage/directory.ts";
import {
  check,
  checkSizeLimit,
  explainFailure,
  type FileCalls,
  type OpenedFile,
  writeAllAt,
} from "./calls.ts";
import {
  createTemporary,
  isEqual,
  isRefused,
  removeTemporary,
} from "./replace.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** A file's content before and after. */
export interface Change {
  before: Bytes;
  after: Bytes;
}

/**
 * Writes a file in place.
 *
 * First the filesystem sets all space aside and the old content is copied to a
 * file beside it, as far as one can be made there. Then what is beyond the old
 * end is written, and the rest last. When a call fails, the old content is
 * written back.
 *
 * @param file The file, open for writing and locked.
 * @param stat What it is.
 * @param place Where it has its name, for the copy.
 * @throws {SyscallError} when it can't be written; it says where the old
 * content is.
 */
export function rewriteFile(
  calls: FileCalls,
  file: OpenedFile,
  stat: FileStat,
  place: FilePlace | undefined,
  change: Change,
): void {
  const { fd, path } = file;
  const { before, after } = change;
  checkSizeLimit(path, BigInt(Math.max(before.length, after.length)));
  // Even to set space aside takes them away.
  const capabilities = readAttribute(fd, CAPABILITIES);
  let copy: string | undefined;
  try {
    reserveSpace(calls, file, stat.size, BigInt(after.length));
    copy = place && saveCopy(calls, file, stat, place, before);
    try {
      writeChange(calls, file, change);
    } catch (error) {
      throw explainFailure(
        error,
        path,
        putBack(calls, file, change, place, copy),
      );
    }
  } finally {
    restoreRights(calls, fd, stat, capabilities);
  }
  if (place === undefined || copy === undefined) return;
  check(
    calls.unlink(place.dirFd, copy),
    "unlinkat",
    place.directory + copy,
    "the new content is in place; remove this copy of the old",
  );
}

/** @throws {SyscallError} when there isn't as much space. */
function reserveSpace(
  calls: FileCalls,
  { fd, path }: OpenedFile,
  size: bigint,
  newSize: bigint,
): void {
  const reserved = calls.reserve(fd, 0n, newSize);
  // Not every filesystem can; the new end is then written before the rest.
  if (reserved === -EOPNOTSUPP || reserved === -ENOSYS) return;
  // What has been set aside until then is given back.
  if (reserved < 0) calls.truncate(fd, size);
  check(reserved, "fallocate", path, "nothing was changed");
}

function writeChange(
  calls: FileCalls,
  file: OpenedFile,
  { before, after }: Change,
): void {
  const { fd, path } = file;
  if (after.length > before.length) {
    writeAllAt(calls, file, after.subarray(before.length), before.length);
  }
  const start = firstDifference(before, after);
  writeAllAt(calls, file, after.subarray(start, before.length), start);
  if (after.length < before.length) {
    check(calls.truncate(fd, BigInt(after.length)), "ftruncate", path);
  }
  check(calls.sync(fd), "fsync", path);
}

/** Both have the same bytes before it. */
function firstDifference(a: Bytes, b: Bytes): number {
  const length = Math.min(a.length, b.length);
  let at = 0;
  while (at < length && a[at] === b[at]) at++;
  return at;
}

/** Restores the old content; gives what to say about it. */
function putBack(
  calls: FileCalls,
  file: OpenedFile,
  { before, after }: Change,
  place: FilePlace | undefined,
  copy: string | undefined,
): string {
  const { fd, path } = file;
  const isSaved = place !== undefined && copy !== undefined;
  try {
    const start = firstDifference(before, after);
    writeAllAt(calls, file, before.subarray(start), start);
    check(calls.truncate(fd, BigInt(before.length)), "ftruncate", path);
    check(calls.sync(fd), "fsync", path);
    if (isSaved) calls.unlink(place.dirFd, copy);
    return "its old content was put back";
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    return isSaved
      ? `its old content is in ${quotePath(place.directory + copy)}`
      : "its old content could not be put back";
  }
}

const CAPABILITIES = "security.capability";

/**
 * Writing takes set-user-ID and set-group-ID bits away, unless it is root who
 * writes, and the capabilities of a program even then. Others than the owner
 * can't give them back.
 */
function restoreRights(
  calls: FileCalls,
  fd: number,
  { permissions }: FileStat,
  capabilities: Bytes | number,
): void {
  if (statFd(fd).permissions !== permissions) {
    calls.setPermissions(fd, permissions);
  }
  if (
    typeof capabilities !== "number" &&
    typeof readAttribute(fd, CAPABILITIES) === "number"
  ) calls.setAttribute(fd, CAPABILITIES, capabilities);
}

/** The name of a copy: no other file's, and short enough for any. */
function copyName(stat: FileStat, name: string): string {
  return `.${name.slice(0, 60)}.holdfast-old.${stat.inode}`;
}

/**
 * Copies the old content to a file beside, on disk.
 *
 * @returns The copy's name; `undefined` where there is no room or right for it.
 * @throws {SyscallError} when it fails otherwise.
 */
function saveCopy(
  calls: FileCalls,
  { path }: OpenedFile,
  stat: FileStat,
  { dirFd, name }: FilePlace,
  bytes: Bytes,
): string | undefined {
  const copy = copyName(stat, name);
  if (statAt(dirFd, copy) !== -ENOENT) return undefined;
  try {
    // It has its name when it is whole.
    const temporary = createTemporary(calls, dirFd);
    try {
      writeAllAt(calls, { fd: temporary.fd, path }, bytes, 0);
      check(calls.sync(temporary.fd), "fsync", path);
      const renamed = calls.rename(dirFd, temporary.name, copy);
      check(renamed, "renameat", path);
    } finally {
      removeTemporary(calls, dirFd, temporary);
      closeFile(temporary.fd);
    }
    calls.syncDirectory(dirFd);
    return copy;
  } catch (error) {
    if (isRefused(error)) return undefined;
    throw explainFailure(error, path, "nothing was changed");
  }
}

/**
 * Looks for the copy that is left when a process dies while it writes in
 * place. One that is no different from the file is removed.
 *
 * @throws {LockError} when the file may be half of the old and half of the new.
 */
export function rejectHalfWritten(
  calls: FileCalls,
  file: OpenedFile,
  stat: FileStat,
  { dirFd, directory, name }: FilePlace,
  content: Bytes,
): void {
  const copy = copyName(stat, name);
  const found = statAt(dirFd, copy);
  if (found === -ENOENT) return;
  if (typeof found !== "number") {
    if (!isTrusted(found, stat, dirFd)) return;
    const saved = readCopy(dirFd, copy);
    if (saved !== undefined && isEqual(saved, content)) {
      calls.unlink(dirFd, copy);
      return;
    }
  }
  throw new LockError(
    `Cannot change ${quotePath(file.path)}: an earlier change was cut short, ` +
      `and what it held before is in ${quotePath(directory + copy)}; ` +
      "compare the two, write back what is right, and remove the copy",
  );
}

/**
 * Whether a copy can have been made by one who was free to change the file: in
 * a sticky directory anybody can make one.
 */
function isTrusted(copy: FileStat, file: FileStat, dirFd: number): boolean {
  if (copy.type !== "file") return false;
  const isSticky = (statFd(dirFd).permissions & S_ISVTX) !== 0;
  return !isSticky || [currentUid(), file.uid, 0].includes(copy.uid);
}

const S_ISVTX = 0o1000;

function readCopy(dirFd: number, copy: string): Bytes | undefined {
  const flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
  const fd = openAt(dirFd, copy, flags);
  if (fd < 0) return undefined;
  try {
    const bytes = readToEnd(fd);
    return typeof bytes === "number" ? undefined : bytes;
  } finally {
    closeFile(fd);
  }
}
