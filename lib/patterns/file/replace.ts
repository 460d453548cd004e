/**
 * Giving a file new content by a new file that takes its name.
 *
 * @module
 */

import { tryFlockFd } from "../../lock/flock/flock.ts";
import { quotePath } from "../../proc/printable.ts";
import {
  EACCES,
  EBUSY,
  EDQUOT,
  EINVAL,
  ENAMETOOLONG,
  ENOENT,
  ENOSPC,
  ENOSYS,
  EPERM,
  EROFS,
  EXDEV,
} from "../../sys/errno.ts";
import { LockError, SyscallError } from "../../sys/error.ts";
import {
  closeFile,
  type FileStat,
  isSameFile,
  statAt,
  statFd,
} from "../../sys/file.ts";
import { readAttributes } from "../../sys/storage/attributes.ts";
import type { FilePlace } from "../../sys/storage/directory.ts";
import {
  check,
  checkSizeLimit,
  explainFailure,
  type FileCalls,
  type OpenedFile,
  writeAllAt,
} from "./calls.ts";

/** A new file that is on its way to another's name. */
export interface Temporary {
  fd: number;
  name: string;
}

/**
 * Creates a file beside another. It is locked: a process that opens its later
 * name at once has to wait, and a cleaner sees that it is in use.
 *
 * @throws {SyscallError} when it can't be created.
 */
export function createTemporary(calls: FileCalls, dirFd: number): Temporary {
  const name = `.holdfast.${crypto.randomUUID()}`;
  const fd = calls.create(dirFd, name);
  check(fd, "openat", name);
  try {
    tryFlockFd(fd);
  } catch (error) {
    calls.unlink(dirFd, name);
    closeFile(fd);
    throw error;
  }
  return { fd, name };
}

/** Removes such a file, unless it has another name by now. */
export function removeTemporary(
  calls: FileCalls,
  dirFd: number,
  { fd, name }: Temporary,
): void {
  const found = statAt(dirFd, name);
  if (typeof found !== "number" && isSameFile(found, statFd(fd))) {
    calls.unlink(dirFd, name);
  }
}

/** What a directory says that takes no new file. */
const NO_NEW_FILE = [EACCES, EDQUOT, ENAMETOOLONG, ENOSPC, EPERM, EROFS];

/** Whether a file can't be made because there is no room or no permission. */
export function isRefused(error: unknown): boolean {
  return error instanceof SyscallError && NO_NEW_FILE.includes(error.errno);
}

/** What rename(2) says where a name can't be given to another file. */
const NO_RENAME = [EACCES, EBUSY, EPERM, EXDEV];

/**
 * Puts a new file in the place of an old one, with everything that belongs to
 * that: owner, mode, access control lists and other extended attributes.
 *
 * @param file The old one, open and locked.
 * @param stat What it is.
 * @param place Where it has its name.
 * @returns Why that can't be done, or `undefined` when it has been.
 * @throws {SyscallError} when it fails otherwise; the old file is as it was.
 */
export function replaceFile(
  calls: FileCalls,
  file: OpenedFile,
  stat: FileStat,
  place: FilePlace,
  bytes: Uint8Array<ArrayBuffer>,
): string | undefined {
  if (stat.links > 1) {
    return "it has other hard links, which would keep the old";
  }
  checkSizeLimit(file.path, BigInt(bytes.length));
  let temporary: Temporary;
  try {
    temporary = createTemporary(calls, place.dirFd);
  } catch (error) {
    if (isRefused(error)) return "no file can be created beside it";
    throw error;
  }
  const { fd, name } = temporary;
  const { path } = file;
  try {
    writeAllAt(calls, { fd, path }, bytes, 0);
    const lost = makeAlike(calls, fd, file.fd, stat);
    if (lost !== undefined) return lost;
    check(calls.sync(fd), "fsync", path);
    rejectRenamed(file, stat, place);
    const result = takeName(calls, file, stat, place, name);
    if (NO_RENAME.includes(-result)) return "its name can't be given away";
    check(result, "renameat2", path);
  } catch (error) {
    throw explainFailure(error, path, "nothing was changed");
  } finally {
    removeTemporary(calls, place.dirFd, temporary);
    closeFile(fd);
  }
  // A directory that may not be read can't be synced; the rename is done.
  const synced = calls.syncDirectory(place.dirFd);
  if (synced !== -EACCES) {
    check(synced, "fsync", place.directory, "the new content is in place");
  }
  return undefined;
}

/**
 * Gives the name of the old file to the new one.
 *
 * Somebody may rename a third file to that name at the last moment, and
 * rename(2) would remove it. So the two change names where the filesystem can
 * do that, and the old one goes when it has been seen under the new one's.
 *
 * @returns 0, or minus an error number.
 * @throws {LockError} when it was another file, which has its name again.
 */
function takeName(
  calls: FileCalls,
  file: OpenedFile,
  stat: FileStat,
  { dirFd, directory, name }: FilePlace,
  temporary: string,
): number {
  const exchanged = calls.exchange(dirFd, temporary, name);
  if (exchanged === -ENOENT) throw replacedMeanwhile(file);
  if (exchanged === -EINVAL || exchanged === -ENOSYS) {
    return calls.rename(dirFd, temporary, name);
  }
  if (exchanged < 0) return exchanged;
  const found = statAt(dirFd, temporary);
  if (typeof found !== "number" && isSameFile(found, stat)) {
    // Left behind, it is the cleaner's.
    calls.unlink(dirFd, temporary);
    return 0;
  }
  if (calls.exchange(dirFd, temporary, name) >= 0) {
    throw replacedMeanwhile(file);
  }
  throw new LockError(
    `Cannot leave ${quotePath(file.path)} as another program has just put it ` +
      `there: the new content is in place, and that program's file is ` +
      quotePath(directory + temporary),
  );
}

/**
 * Makes sure that a file that is about to be changed still has its name.
 *
 * @throws {LockError} when somebody has removed, renamed or replaced it.
 */
export function rejectRenamed(
  file: OpenedFile,
  stat: FileStat,
  place: FilePlace,
): void {
  if (!place.isNameOf(stat)) throw replacedMeanwhile(file);
}

function replacedMeanwhile({ path }: OpenedFile): LockError {
  return new LockError(
    `Cannot change ${quotePath(path)}: it was removed, renamed or replaced ` +
      "while its new content was made; nothing was changed, begin anew",
  );
}

/** The parts of a file's label and signature that belong to one file alone. */
const NOT_TO_BE_COPIED = /^security\.(ima|evm)$/;

/**
 * Gives a new file all that belongs to the old one beside its content.
 *
 * The order matters: to write takes set-user-ID bits and capabilities away, so
 * does a change of owner, and an access control list comes with the mode.
 *
 * @returns What can't be kept, or `undefined`.
 */
function makeAlike(
  calls: FileCalls,
  fd: number,
  oldFd: number,
  { uid, gid, permissions }: FileStat,
): string | undefined {
  const own = statFd(fd);
  if (own.uid !== uid || own.gid !== gid) {
    if (calls.setOwner(fd, uid, gid) < 0) return "its owner can't be kept";
  }
  if (!copyAttributes(calls, oldFd, fd)) {
    return "its extended attributes can't be kept";
  }
  // The kernel leaves out a set-group-ID bit without a word.
  return calls.setPermissions(fd, permissions) < 0 ||
      statFd(fd).permissions !== permissions
    ? "its mode can't be kept"
    : undefined;
}

/** A new file may have attributes of its own: its directory gives it some. */
function copyAttributes(calls: FileCalls, from: number, to: number): boolean {
  const wanted = readAttributes(from);
  const present = readAttributes(to);
  if (typeof wanted === "number" || typeof present === "number") return false;
  for (const [name, value] of wanted) {
    const has = present.get(name);
    if (has !== undefined && isEqual(has, value)) continue;
    if (NOT_TO_BE_COPIED.test(name)) return false;
    if (calls.setAttribute(to, name, value) < 0) return false;
  }
  for (const name of present.keys()) {
    if (!wanted.has(name) && calls.removeAttribute(to, name) < 0) return false;
  }
  return true;
}

/** Whether bytes are the same. */
export function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}
