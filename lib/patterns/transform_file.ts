/**
 * Changing a file that others read and change as well.
 *
 * @module
 */

import { quotePath } from "../proc/printable.ts";
import { dirname } from "../sys/path_parts.ts";
import { callLibc, cString } from "../sys/call.ts";
import { EBUSY, EXDEV } from "../sys/errno.ts";
import { LockError, SyscallError } from "../sys/error.ts";
import {
  closeFile,
  type FileStat,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_RDONLY,
  O_RDWR,
  openFile,
  realPath,
  statFd,
} from "../sys/file.ts";
import { libc } from "../sys/libc.ts";
import {
  type CoordOptions,
  openAttempt,
  WaitBudget,
} from "../acquire/budget.ts";
import {
  readFromStart,
  syncFile,
  truncateFile,
  writeAt,
} from "./write_file.ts";

/** How {@linkcode transformFile} finds and writes the file. */
export interface TransformOptions extends CoordOptions {
  /** Begin with an empty file if there is none, instead of failing. */
  create?: boolean | undefined;
  /**
   * `auto`, unless set, replaces the file if that leaves everything else about
   * it as it is, and else writes in place. `replace` and `in-place` insist.
   */
  method?: "auto" | TransformMethod | undefined;
}

/** `replace`: by a new file, in one step. `in-place`: the same file. */
export type TransformMethod = "replace" | "in-place";

/** What {@linkcode transformFile} did. */
export interface TransformResult {
  /** How it was written; `undefined` when the content is what it was. */
  method: TransformMethod | undefined;
}

/** Computes the new content of a file from the old one. */
export type Transform = (
  content: Uint8Array<ArrayBuffer>,
) => Uint8Array<ArrayBuffer> | Promise<Uint8Array<ArrayBuffer>>;

/**
 * Reads a file, has its new content computed and writes it, under a lock, so
 * that no change by others who do it this way is lost.
 *
 * The file itself is locked, and once the lock is held, it is made sure that
 * the name still means that file. The new content goes to a file beside it,
 * which then takes its name: readers without a lock see the old content or the
 * new one, and so it is after a crash. Mode and owner are kept.
 *
 * Where that can't be (a mount point, a directory that may not be written)
 * or would lose something (other hard links, extended attributes such as
 * access control lists, an owner that can't be given away), the file is written
 * in place, where a reader without a lock or a crash may meet half of it.
 *
 * Permissions: `--allow-ffi`. See flock(2), rename(2), fsync(2).
 *
 * @param path The file; symbolic links are followed.
 * @param transform Gives the new content; if it throws, nothing is changed.
 * @param options `create`, `method`, `timeoutMs`, `signal`.
 * @returns How the file was written.
 * @throws {LockTimeoutError} when the file was locked until the deadline.
 * @throws {LockError} when `method` can't be had, or it isn't a regular file.
 * @throws {SyscallError} when it can't be opened, locked, read or written.
 * @throws `signal.reason` when the signal aborts.
 *
 * @example
 * ```ts
 * import { transformFile } from "@holdfast/holdfast/patterns";
 *
 * await transformFile("/tmp/holdfast-example.count", (content) => {
 *   const count = Number(new TextDecoder().decode(content));
 *   return new TextEncoder().encode(`${count + 1}\n`);
 * }, { create: true });
 * ```
 */
export async function transformFile(
  path: string,
  transform: Transform,
  options: TransformOptions = {},
): Promise<TransformResult> {
  const { create = false } = options;
  const budget = new WaitBudget(options);
  const target = realPath(path) ?? path;
  using attempt = openAttempt(target, "exclusive", { ...options, create });
  using lock = await budget.take(target, attempt);
  if (lock === undefined) throw await budget.timeoutError(target);
  checkWritable(lock.fd, target);
  const content = readFromStart(lock.fd, target);
  // It may change the old content, which must be known afterwards.
  const changed = await transform(content.slice());
  if (isEqual(content, changed)) return { method: undefined };
  return { method: write(lock.fd, target, changed, options.method ?? "auto") };
}

const F_GETFL = 3;
const O_ACCMODE = 3;

function checkWritable(fd: number, path: string): void {
  const { type } = statFd(fd);
  const flags = callLibc(() => libc.fcntl_int(fd, F_GETFL, 0));
  const flaw = type !== "file"
    ? `it is a ${type}, not a regular file`
    : (flags & O_ACCMODE) === O_RDONLY
    ? "it may not be written; check its permissions"
    : undefined;
  if (flaw === undefined) return;
  throw new LockError(`Cannot change ${quotePath(path)}: ${flaw}`);
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

function write(
  fd: number,
  path: string,
  bytes: Uint8Array<ArrayBuffer>,
  method: "auto" | TransformMethod,
): TransformMethod {
  if (method !== "in-place") {
    const obstacle = replace(fd, path, bytes);
    if (obstacle === undefined) return "replace";
    if (method === "replace") {
      throw new LockError(`Cannot replace ${quotePath(path)}: ${obstacle}`);
    }
  }
  writeAt(fd, path, bytes, 0n);
  truncateFile(fd, path, BigInt(bytes.length));
  syncFile(fd, path);
  return "in-place";
}

/**
 * Gives a new file the name of an old one.
 *
 * @returns Why that can't be done, or `undefined` when it has been.
 */
function replace(
  fd: number,
  path: string,
  bytes: Uint8Array<ArrayBuffer>,
): string | undefined {
  const stat = statFd(fd);
  if (stat.links > 1) {
    return "it has other hard links, which would keep the old";
  }
  if (hasAttributes(fd)) {
    return "it has extended attributes, which would be lost";
  }
  const slash = path.lastIndexOf("/") + 1;
  const temporary = `${path.slice(0, slash)}.holdfast.${crypto.randomUUID()}`;
  const flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  const newFd = openFile(temporary, flags, 0o600);
  if (newFd < 0) return "no file can be created beside it";
  let renamed = false;
  try {
    if (!makeAlike(newFd, stat)) return "its owner can't be kept";
    writeAt(newFd, temporary, bytes, 0n);
    syncFile(newFd, temporary);
    const from = cString(temporary);
    const to = cString(path);
    const result = callLibc(() => libc.rename(from, to));
    if (result === -EBUSY || result === -EXDEV) return "it is a mount point";
    if (result < 0) {
      throw new SyscallError("replace", {
        syscall: "rename",
        errno: -result,
        path,
      });
    }
    renamed = true;
    syncDirectory(dirname(path));
    return undefined;
  } finally {
    closeFile(newFd);
    if (!renamed) libc.unlink(cString(temporary));
  }
}

/** SELinux labels a new file by itself. */
const OWN_ATTRIBUTES = new Set(["security.selinux", ""]);

function hasAttributes(fd: number): boolean {
  const names = new Uint8Array(64 * 1024);
  const length = callLibc(() =>
    libc.flistxattr(fd, names, BigInt(names.length))
  );
  // A filesystem without attributes says EOPNOTSUPP.
  if (length <= 0) return false;
  return new TextDecoder().decode(names.subarray(0, length)).split("\0")
    .some((name) => !OWN_ATTRIBUTES.has(name));
}

/** Gives a new file the owner and mode of another; the owner comes first,
 * for to change it takes set-user-ID bits away. */
function makeAlike(fd: number, { uid, gid, permissions }: FileStat): boolean {
  const own = statFd(fd);
  if (own.uid !== uid || own.gid !== gid) {
    if (callLibc(() => libc.fchown(fd, uid, gid)) < 0) return false;
  }
  return callLibc(() => libc.fchmod(fd, permissions)) >= 0;
}

function syncDirectory(path: string): void {
  const fd = openFile(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  // A directory that may be written but not read: the rename is done anyway.
  if (fd < 0) return;
  try {
    syncFile(fd, path);
  } finally {
    closeFile(fd);
  }
}
