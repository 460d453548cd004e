/**
 * Reading the record of a link lock, whatever may stand at its path.
 *
 * @module
 */

import { quotePath } from "../../proc/printable.ts";
import { EACCES, ELOOP, ENOENT } from "../../sys/errno.ts";
import { LockError, SyscallError } from "../../sys/error.ts";
import {
  closeFile,
  O_CLOEXEC,
  O_NOCTTY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
  openFile,
  readToEnd,
  statFd,
} from "../../sys/file.ts";
import { hasFfi } from "../../sys/process/environment.ts";
import { type PathLike, toPath } from "../lock_path.ts";
import {
  checkLinkPath,
  ForeignLinkLockError,
  type LinkLockOwner,
  MAX_RECORD_BYTES,
  parseLinkOwner,
} from "./owner.ts";
import { isStray, settled } from "./settled.ts";

/** A record as it was found in a file. */
export interface StoredOwner {
  /** What it says. */
  owner: LinkLockOwner;
  /** The inode of the file. */
  inode: number | null;
  /** The file's mtime by its server's clock, in milliseconds since 1970. */
  heartbeatMs: number;
}

/**
 * Reads the record in a file, never more than 64 KiB and never through a
 * symbolic link.
 *
 * @param path The lock, or a private file of it.
 * @param given What its caller calls it.
 * @returns The record, or `undefined` when nothing has that name.
 * @throws {ForeignLinkLockError} when what stands there is no such record.
 */
export function readStoredOwner(
  path: string,
  given = path,
): StoredOwner | undefined {
  for (let looks = 0; looks < MAX_LOOKS; looks++) {
    const info = lstat(path);
    if (info === undefined) return undefined;
    const wrong = wrongType(info);
    if (wrong !== undefined) throw new ForeignLinkLockError(given, wrong);
    const found = readFile(path, given);
    if (found === undefined) continue;
    const { bytes, inode, heartbeatMs } = found;
    const owner = bytes.length > MAX_RECORD_BYTES
      ? "it is too long for an owner's record"
      : parseLinkOwner(new TextDecoder().decode(bytes));
    if (typeof owner === "string") throw new ForeignLinkLockError(given, owner);
    return { owner, inode, heartbeatMs };
  }
  return undefined;
}

/** How often a name that is replaced again and again is looked at. */
const MAX_LOOKS = 10;

/** Deno's lstat, with `undefined` for a name that leads nowhere. */
export function lstat(path: string): Deno.FileInfo | undefined {
  try {
    return settled(() => Deno.lstatSync(path));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw explain("examine link lock", path, error);
  }
}

function wrongType(info: Deno.FileInfo): string | undefined {
  if (info.isFile) {
    return info.size > MAX_RECORD_BYTES
      ? `it is too long for an owner's record (${info.size} bytes)`
      : undefined;
  }
  if (info.isSymlink) return "it is a symbolic link";
  if (info.isDirectory) return "it is a directory";
  if (info.isFifo) return "it is a FIFO";
  return "it is not a regular file";
}

interface FoundFile {
  bytes: Uint8Array;
  inode: number | null;
  heartbeatMs: number;
}

/** `undefined` when the name has changed meanwhile. */
function readFile(path: string, given: string): FoundFile | undefined {
  try {
    return hasFfi() ? readByFfi(path, given) : readByDeno(path, given);
  } catch (error) {
    if (isStray(error)) return undefined;
    throw error;
  }
}

/* What has replaced the file since lstat may be a FIFO, on which open(2) waits
 * for ever, or a symbolic link: libc can refuse both. */
function readByFfi(path: string, given: string): FoundFile | undefined {
  const fd = openFile(
    path,
    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
  );
  if (fd === -ENOENT || fd === -ELOOP) return undefined;
  if (fd === -EACCES) throw new ForeignLinkLockError(given, UNREADABLE);
  if (fd < 0) {
    throw new SyscallError("read link lock", {
      syscall: "open",
      errno: -fd,
      path: given,
    });
  }
  try {
    const stat = statFd(fd);
    if (stat.type !== "file") return undefined;
    const bytes = readToEnd(fd, MAX_RECORD_BYTES + 1);
    // On CIFS a locked file can't be read by others.
    if (bytes === -EACCES) throw new ForeignLinkLockError(given, UNREADABLE);
    if (typeof bytes === "number") {
      throw new SyscallError("read link lock", {
        syscall: "read",
        errno: -bytes,
        path: given,
      });
    }
    return {
      bytes,
      inode: Number(stat.inode),
      heartbeatMs: stat.modifiedMs,
    };
  } finally {
    closeFile(fd);
  }
}

/** For a program without `--allow-ffi`. */
function readByDeno(path: string, given: string): FoundFile | undefined {
  let file: Deno.FsFile;
  try {
    file = Deno.openSync(path, { read: true });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    if (error instanceof Deno.errors.PermissionDenied) {
      throw new ForeignLinkLockError(given, UNREADABLE);
    }
    throw explain("read link lock", given, error);
  }
  try {
    const info = file.statSync();
    if (!info.isFile) return undefined;
    const buffer = new Uint8Array(MAX_RECORD_BYTES + 1);
    let length = 0;
    while (length < buffer.length) {
      const count = file.readSync(buffer.subarray(length));
      if (count === null) break;
      length += count;
    }
    return {
      bytes: buffer.subarray(0, length),
      inode: info.ino,
      heartbeatMs: info.mtime?.getTime() ?? 0,
    };
  } finally {
    file.close();
  }
}

const UNREADABLE = "it may not be read by this user";

/**
 * Puts what was tried in front of what Deno says. The class stays: it tells
 * the kind of failure.
 */
export function explain(
  action: string,
  path: string,
  error: unknown,
): unknown {
  if (
    error instanceof Error && !(error instanceof LockError) &&
    !(error instanceof Deno.errors.NotCapable)
  ) {
    const advice = "code" in error ? ADVICE[String(error.code)] : undefined;
    error.message = `Cannot ${action} ${quotePath(path)}: ${error.message}` +
      (advice === undefined ? "" : `; ${advice}`);
  }
  return error;
}

const OTHER_DIRECTORY = "choose a directory on another filesystem";
const ADVICE: Readonly<Record<string, string>> = {
  EACCES: "the directory must let this user create, rename and remove files",
  ENOENT: "is there such a directory?",
  ENOSPC: `free some space or ${OTHER_DIRECTORY}`,
  EDQUOT: `free some space or ${OTHER_DIRECTORY}`,
  EROFS: OTHER_DIRECTORY,
};

/**
 * The owner of a link lock: hostname, pid, user, command and the rest.
 *
 * Everything in it was written by another program and may be a lie or hold
 * control characters: show it through {@linkcode formatLinkOwnerLine}.
 *
 * Permissions: `--allow-read` for the path.
 *
 * @param path The lock.
 * @returns The owner, or `undefined` when nobody holds it.
 * @throws {ForeignLinkLockError} when what stands there is no link lock.
 *
 * @example
 * ```ts
 * import { readLinkLockOwner } from "@holdfast/holdfast/link-lock";
 *
 * const owner = readLinkLockOwner("/tmp/holdfast-example.link");
 * console.log(owner ? `${owner.hostname} ${owner.pid}` : "free");
 * ```
 */
export function readLinkLockOwner(path: PathLike): LinkLockOwner | undefined {
  const name = toPath(path);
  checkLinkPath(name, name);
  return readStoredOwner(name)?.owner;
}

/**
 * What the owner of a link lock had to say when it took it.
 *
 * Permissions and errors as for {@linkcode readLinkLockOwner}.
 *
 * @param path The lock.
 * @returns The message, or `undefined` when there is none or nobody holds it.
 *
 * @example
 * ```ts
 * import { readLinkLockMessage } from "@holdfast/holdfast/link-lock";
 *
 * console.log(readLinkLockMessage("/tmp/holdfast-example.link") ?? "none");
 * ```
 */
export function readLinkLockMessage(path: PathLike): string | undefined {
  return readLinkLockOwner(path)?.message ?? undefined;
}
