/**
 * Locks of other hosts, which aren't in this one's /proc/locks: what the
 * server of a filesystem tells of them, and where it tells nothing.
 *
 * @module
 */

import type { LockMode } from "../lock/flock/flock_fd.ts";
import { probeLockFile } from "../lock/lock_file.ts";
import { type BlockingLock, fOfdGetlk } from "../lock/record/record_lock.ts";
import { LockError } from "../sys/error.ts";
import {
  closeFile,
  O_CLOEXEC,
  O_NOCTTY,
  O_NONBLOCK,
  O_PATH,
  O_RDWR,
  openFile,
} from "../sys/file.ts";
import { type Filesystem, filesystemOfType } from "./filesystem.ts";
import { remoteFilesystemOfFd } from "./guard.ts";
import { mountOfFd } from "./record_guard.ts";
import { localLocksOfNfs } from "./verdict.ts";

/** The kinds of lock that a question is about. */
export type AskedKind = "flock" | "fcntl" | "any";

/** What can be known of the locks of other hosts. */
export interface ServerAnswer {
  /** One of them, if any is told. */
  blocking: BlockingLock | undefined;
  /**
   * Why there may be others all the same, as a clause; absent if there can't.
   */
  unknown: string | undefined;
}

/**
 * Asks the server of a remote filesystem for locks on a file.
 *
 * Permissions: `--allow-ffi`. A file on a local filesystem isn't opened. See
 * F_OFD_GETLK(2const).
 *
 * @param path The file; it is not created.
 * @param kind What the question is about: not every filesystem tells of every
 * kind.
 * @param mode How the lock would be taken: a sharer isn't in the way of
 * another.
 * @returns `undefined` when the filesystem is local, or there is no such file.
 */
export function askServer(
  path: string,
  kind: AskedKind,
  mode: LockMode = "exclusive",
): ServerAnswer | undefined {
  const fd = openFile(path, O_PATH | O_CLOEXEC);
  if (fd < 0) return undefined;
  let filesystem: Filesystem | undefined;
  let isTold = true;
  try {
    filesystem = remoteFilesystemOfFd(fd);
    if (filesystem === undefined || staysHere(fd, kind)) return undefined;
    isTold = kind === "fcntl" ||
      (filesystem.tells === "all" && isRecordAsked(fd));
  } finally {
    closeFile(fd);
  }
  const { name, tells } = filesystem;
  if (tells === "none") {
    return {
      blocking: undefined,
      unknown: `${name} doesn't tell of locks that are held elsewhere`,
    };
  }
  const answer = isTold || kind === "any" ? ask(path, mode) : undefined;
  if (
    answer?.blocking !== undefined || answer?.unknown !== undefined || isTold
  ) return answer;
  return {
    blocking: undefined,
    unknown: `${name} doesn't tell of flocks of other hosts`,
  };
}

function ask(path: string, mode: LockMode): ServerAnswer | undefined {
  // A client of NFSv4 may answer for a file that is open for reading only
  // without asking: it is opened for writing, where that is permitted.
  const flags = O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
  const writable = openFile(path, flags);
  if (writable >= 0) return askThrough(writable, mode, undefined);
  return askKernel(path, {
    mode,
    doubt: "the file can only be opened for reading, and its client may then " +
      "answer without asking the server",
  });
}

/**
 * Asks the kernel for record locks on a file, which is opened for reading. It
 * knows all of them on a local filesystem.
 *
 * Permissions: `--allow-ffi`. See F_OFD_GETLK(2const).
 *
 * @param path The file; it is not created.
 * @param how What the lock that is asked about is to be, and why there may be
 * others when the kernel knows of none, if so.
 * @returns `undefined` when there is no such file.
 */
export function askKernel(
  path: string,
  { mode = "exclusive", doubt }: { mode?: LockMode; doubt?: string } = {},
): ServerAnswer | undefined {
  try {
    const file = probeLockFile(path);
    return file && askThrough(file.fd, mode, doubt);
  } catch (error) {
    if (!(error instanceof LockError)) throw error;
    return { blocking: undefined, unknown: error.message };
  }
}

/** Closes the descriptor. */
function askThrough(
  fd: number,
  mode: LockMode,
  doubt: string | undefined,
): ServerAnswer {
  try {
    const blocking = fOfdGetlk(fd, {
      type: mode === "exclusive" ? "write" : "read",
    });
    return { blocking, unknown: blocking === undefined ? doubt : undefined };
  } catch (error) {
    if (!(error instanceof LockError)) throw error;
    return { blocking: undefined, unknown: error.message };
  } finally {
    closeFile(fd);
  }
}

/** Whether the locks of a kind never leave this host, as NFSv3 can be told. */
function staysHere(fd: number, kind: AskedKind): boolean {
  const mount = mountOfFd(fd);
  if (mount === undefined || filesystemOfType(mount.fsType)?.name !== "nfs") {
    return false;
  }
  const { flock, record } = localLocksOfNfs(mount);
  return (flock || kind === "fcntl") && (record || kind === "flock");
}

/** Whether the server is asked for record locks, which flocks are there. */
function isRecordAsked(fd: number): boolean {
  const mount = mountOfFd(fd);
  if (mount === undefined || filesystemOfType(mount.fsType)?.name !== "nfs") {
    return true;
  }
  return !localLocksOfNfs(mount).record;
}
