/**
 * Changing a file that others read and change as well.
 *
 * @module
 */

import { checkFunction } from "../lock/check.ts";
import { passFence } from "./fence.ts";
import { type PathLike, toLockPath } from "../lock/lock_path.ts";
import { quotePath } from "../proc/printable.ts";
import { LockError } from "../sys/error.ts";
import { type FileStat, statFd } from "../sys/file.ts";
import { type FilePlace, findPlace } from "../sys/storage/directory.ts";
import { type LockWaitOptions, WaitBudget } from "../acquire/budget.ts";
import { flockAttempt } from "../acquire/flock_attempt.ts";
import {
  FILE_CALLS,
  type FileCalls,
  type OpenedFile,
  readFromStart,
} from "./file/calls.ts";
import { isEqual, rejectRenamed, replaceFile } from "./file/replace.ts";
import { type Change, rejectHalfWritten, rewriteFile } from "./file/rewrite.ts";

/** How {@linkcode transformFile} finds and writes the file. */
export interface TransformOptions extends LockWaitOptions {
  /** Begin with an empty file if there is none, instead of failing. */
  create?: boolean | undefined;
  /**
   * `auto`, unless set, replaces the file if that leaves everything else about
   * it as it is, and else writes in place. `replace` and `in-place` insist.
   */
  method?: "auto" | TransformMethod | undefined;
  /**
   * The number of the holder of another lock, on whose behalf the file is
   * changed: refused when a higher one has been here, which a file beside it,
   * `FILE.fence`, remembers.
   */
  fence?: bigint | undefined;
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
 * new one, and so it is after a crash. Owner, mode, access control lists and
 * other extended attributes are kept. A symbolic link is followed to the file
 * that is opened and locked, and refused where `acquire` refuses it.
 *
 * Where that can't be (a mount point, a directory that may not be written)
 * or would lose something (other hard links, an owner that can't be given
 * away), the file is written in place, where a reader without a lock may meet
 * half of it. When a system call fails, such as on a full disk, the old content
 * is written back; and should the process die, the next call finds a copy of
 * it beside the file, `.NAME.holdfast-old.INODE`, and refuses to go on. Only
 * where no file can be made beside it is there no such copy. Set-user-ID bits
 * are kept there if the file is this user's own.
 *
 * Permissions: `--allow-ffi`. See flock(2), rename(2), fsync(2).
 *
 * @param path The file; symbolic links are followed.
 * @param transform Gives the new content; if it throws, nothing is changed.
 * @param options `create`, `method`, `timeoutMs`, `signal`.
 * @returns How the file was written.
 * @throws {LockTimeoutError} when the file was locked until the deadline.
 * @throws {StaleFenceError} when a higher `fence` has been here.
 * @throws {LockError} when `method` isn't possible, or it isn't a regular
 * file.
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
  path: PathLike,
  transform: Transform,
  options: TransformOptions = {},
): Promise<TransformResult> {
  return await transformBy(FILE_CALLS, path, transform, options);
}

/** {@linkcode transformFile} by some system calls. */
export async function transformBy(
  calls: FileCalls,
  path: PathLike,
  transform: Transform,
  options: TransformOptions = {},
): Promise<TransformResult> {
  const { create = false } = options;
  checkFunction(transform, "transform");
  const target = toLockPath(path);
  const budget = new WaitBudget(options);
  using attempt = flockAttempt(target, {
    ...options,
    create,
    writing: "anywhere",
    mode: "exclusive",
  });
  using lock = await budget.acquire(target, attempt);
  const file = { fd: lock.fd, path: target.given };
  const stat = statFd(file.fd);
  if (stat.type !== "file") {
    throw new LockError(
      `Cannot change ${quotePath(file.path)}: it is a ${stat.type}, ` +
        "not a regular file",
    );
  }
  // Under the lock of the file: nobody comes between this and the change.
  if (options.fence !== undefined) await passFence(target, options.fence);
  using place = findPlace(file.fd, target.absolute);
  const before = readFromStart(file);
  if (place !== undefined) rejectHalfWritten(calls, file, stat, place, before);
  // It may change the old content, which must be known afterwards.
  const after = await transform(before.slice());
  if (isEqual(before, after)) return { method: undefined };
  rejectChanged(file, stat);
  const method = options.method ?? "auto";
  return { method: write(calls, file, place, { before, after }, method) };
}

/** Others may change a file without a lock, which would be lost. */
function rejectChanged({ fd, path }: OpenedFile, before: FileStat): void {
  const now = statFd(fd);
  if (now.size === before.size && now.modifiedMs === before.modifiedMs) return;
  throw new LockError(
    `Cannot change ${quotePath(path)}: somebody who doesn't lock it has ` +
      "written to it meanwhile; nothing was changed, begin anew",
  );
}

function write(
  calls: FileCalls,
  file: OpenedFile,
  place: FilePlace | undefined,
  change: Change,
  method: "auto" | TransformMethod,
): TransformMethod {
  // As it is now: to change owner and mode takes no lock.
  const stat = statFd(file.fd);
  if (place !== undefined) rejectRenamed(file, stat, place);
  if (method !== "in-place") {
    const obstacle = place === undefined
      ? "its directory can't be found"
      : replaceFile(calls, file, stat, place, change.after);
    if (obstacle === undefined) return "replace";
    if (method === "replace") {
      throw new LockError(
        `Cannot replace ${quotePath(file.path)}: ${obstacle}`,
      );
    }
  }
  rewriteFile(calls, file, stat, place, change);
  return "in-place";
}
