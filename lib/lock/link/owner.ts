/**
 * The record in a link lock: who holds it, and reading it whatever may stand
 * at its path.
 *
 * @module
 */

import { isUtf8Path } from "../../proc/path_text.ts";
import { printable, quotePath } from "../../proc/printable.ts";
import { LockError, SyscallError } from "../../sys/error.ts";
import { EACCES, ELOOP, ENOENT } from "../../sys/errno.ts";
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
import { hasFfi } from "../../sys/libc.ts";
import {
  judgeLiveness,
  type LivenessVerdict,
  type ProcessIdentity,
} from "../../sys/identity.ts";

/** Who holds a link lock. */
export interface LinkLockOwner extends ProcessIdentity {
  /** A random number, 32 hexadecimal digits, new with each taking. */
  token: string;
  /** Grows with each taking of this lock: a fencing counter. */
  fence: number;
  /** When it was taken, by the owner's clock, in milliseconds since 1970. */
  takenAtMs: number;
  /** What the owner had to say. */
  message: string | null;
  /** How long it lasts without a heartbeat, in milliseconds; `null`: for ever. */
  leaseMs: number | null;
}

/** A record as it was found in a file. */
export interface StoredOwner {
  /** What it says. */
  owner: LinkLockOwner;
  /** The inode of the file. */
  inode: number | null;
  /** The file's mtime by its server's clock, in milliseconds since 1970. */
  heartbeatMs: number;
}

/** What stands at the path of a link lock is none. It is left alone. */
export class ForeignLinkLockError extends LockError {
  /** The name of the class. */
  override name = "ForeignLinkLockError";
  /** The path. */
  readonly path: string;
  /** What is wrong with it, a clause. */
  readonly reason: string;

  /** Made when a record is read. */
  constructor(path: string, reason: string) {
    super(
      `Cannot use ${quotePath(path)} as a link lock: ${reason}; ` +
        "it is left alone, choose another path or remove it yourself",
    );
    this.path = path;
    this.reason = reason;
  }
}

/**
 * The runtime's own calls, which work without `--allow-ffi`, would take another
 * name for one that isn't UTF-8.
 *
 * @throws {ForeignLinkLockError} for such a name.
 */
export function checkLinkPath(path: string): void {
  if (!isUtf8Path(path)) {
    throw new ForeignLinkLockError(path, "its name is not UTF-8");
  }
}

const KIND = "holdfast link lock";
const SCHEMA = 1;

/** No record is longer; what is longer is never read. */
export const MAX_RECORD_BYTES: number = 64 * 1024;
/** The longest message, in UTF-16 units. */
export const MAX_MESSAGE_LENGTH = 4096;

/** The record as it is written: one line of JSON. */
export function formatLinkOwner(owner: LinkLockOwner): string {
  return JSON.stringify({ kind: KIND, schema: SCHEMA, ...owner }) + "\n";
}

/** Whether a text begins as a record does, of whatever schema. */
export function isLinkOwnerText(text: string): boolean {
  return text.startsWith(`{"kind":${JSON.stringify(KIND)}`);
}

/**
 * Reads a record's text.
 *
 * @returns The owner, or what is wrong with the text.
 */
export function parseLinkOwner(text: string): LinkLockOwner | string {
  if (text.trim() === "") return "it is empty";
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return "it doesn't contain an owner's record";
  }
  if (typeof value !== "object" || value === null) {
    return "it doesn't contain an owner's record";
  }
  const fields = value as Record<string, unknown>;
  if (fields.kind !== KIND) return "it doesn't contain an owner's record";
  if (fields.schema !== SCHEMA) {
    return `its record has schema ${
      printable(String(fields.schema)).slice(0, 20)
    }, and only ${SCHEMA} is understood`;
  }
  for (const [name, isValid] of Object.entries(FIELDS)) {
    if (!isValid(fields[name])) return `its record has no valid ${name}`;
  }
  const owner: Record<string, unknown> = {};
  for (const name of Object.keys(FIELDS)) owner[name] = fields[name];
  return owner as unknown as LinkLockOwner;
}

const isCount = (value: unknown): boolean =>
  Number.isSafeInteger(value) && (value as number) > 0;
const isText = (value: unknown): boolean =>
  value === null || typeof value === "string";
const isDigits = (value: unknown): boolean =>
  value === null || typeof value === "string" && /^\d+$/.test(value);

const FIELDS: Readonly<
  Record<keyof LinkLockOwner, (value: unknown) => boolean>
> = {
  token: (value) => typeof value === "string" && /^[0-9a-f]{32}$/.test(value),
  fence: isCount,
  hostname: isText,
  machineId: isText,
  bootId: isText,
  pidNamespace: isDigits,
  timeNamespace: isDigits,
  // kill(2) takes an int, and 0 or less mean groups.
  pid: (value) => isCount(value) && (value as number) < 2 ** 31,
  startTicks: isDigits,
  user: isText,
  command: isText,
  // Beyond this there is no Date.
  takenAtMs: (value) => typeof value === "number" && Math.abs(value) <= 8.64e15,
  message: isText,
  leaseMs: (value) => value === null || typeof value === "number" && value > 0,
};

/**
 * Reads the record in a file, never more than 64 KiB and never through a
 * symbolic link.
 *
 * @param path The lock, or a private file of it.
 * @returns The record, or `undefined` when nothing has that name.
 * @throws {ForeignLinkLockError} when what stands there is no such record.
 */
export function readStoredOwner(path: string): StoredOwner | undefined {
  for (let looks = 0; looks < MOST_LOOKS; looks++) {
    const info = lstat(path);
    if (info === undefined) return undefined;
    const wrong = wrongType(info);
    if (wrong !== undefined) throw new ForeignLinkLockError(path, wrong);
    const found = readFile(path);
    if (found === undefined) continue;
    const { bytes, inode, heartbeatMs } = found;
    const owner = bytes.length > MAX_RECORD_BYTES
      ? "it is too long for an owner's record"
      : parseLinkOwner(new TextDecoder().decode(bytes));
    if (typeof owner === "string") throw new ForeignLinkLockError(path, owner);
    return { owner, inode, heartbeatMs };
  }
  return undefined;
}

/** Deno's lstat, with `undefined` for a name that leads nowhere. */
export function lstat(path: string): Deno.FileInfo | undefined {
  for (let looks = 1;; looks++) {
    try {
      return Deno.lstatSync(path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      if (isStale(error) && looks < MOST_LOOKS) continue;
      throw explain("examine link lock", path, error);
    }
  }
}

/** How often a name that is replaced again and again is looked at. */
const MOST_LOOKS = 10;

/** What NFS says of a file that another client has removed since the lookup. */
function isStale(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ESTALE";
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
function readFile(path: string): FoundFile | undefined {
  try {
    return hasFfi() ? readByFfi(path) : readByDeno(path);
  } catch (error) {
    if (isStale(error)) return undefined;
    throw error;
  }
}

/* What has replaced the file since lstat may be a FIFO, on which open(2) waits
 * for ever, or a symbolic link: libc can refuse both. */
function readByFfi(path: string): FoundFile | undefined {
  const fd = openFile(
    path,
    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
  );
  if (fd === -ENOENT || fd === -ELOOP) return undefined;
  if (fd === -EACCES) throw new ForeignLinkLockError(path, UNREADABLE);
  if (fd < 0) {
    throw new SyscallError("read link lock", {
      syscall: "open",
      errno: -fd,
      path,
    });
  }
  try {
    const stat = statFd(fd);
    if (stat.type !== "file") return undefined;
    const bytes = readToEnd(fd, MAX_RECORD_BYTES + 1);
    if (typeof bytes === "number") {
      throw new SyscallError("read link lock", {
        syscall: "read",
        errno: -bytes,
        path,
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
function readByDeno(path: string): FoundFile | undefined {
  let file: Deno.FsFile;
  try {
    file = Deno.openSync(path, { read: true });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    if (error instanceof Deno.errors.PermissionDenied) {
      throw new ForeignLinkLockError(path, UNREADABLE);
    }
    throw explain("read link lock", path, error);
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
 * Says what was tried in front of what Deno says; the class stays, since it
 * tells what kind of failure it was.
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
    error.message = `Cannot ${action} ${quotePath(path)}: ${error.message}`;
  }
  return error;
}

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
export function readLinkLockOwner(path: string): LinkLockOwner | undefined {
  checkLinkPath(path);
  return readStoredOwner(path)?.owner;
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
export function readLinkLockMessage(path: string): string | undefined {
  return readLinkLockOwner(path)?.message ?? undefined;
}

/** The owner on one printable line. */
export function formatLinkOwnerLine(owner: LinkLockOwner): string {
  const { message } = owner;
  return printable(
    `pid ${owner.pid} on ${owner.hostname ?? "an unnamed host"}, ` +
      `user ${owner.user ?? "unknown"}, since ` +
      `${new Date(owner.takenAtMs).toISOString()}: ` +
      `${owner.command ?? "<command unavailable>"}` +
      (message === null ? "" : ` (${message})`),
  );
}

/**
 * Whether the owner of a link lock can still act, as far as that can be told
 * from here: by its process, not by its lease.
 *
 * Permissions: `--allow-ffi`; without it all is `unknown`.
 */
export function judgeLinkOwner(owner: LinkLockOwner): LivenessVerdict {
  return judgeLiveness(owner);
}
