/**
 * The file to which runs append what happens to them, and its older parts.
 *
 * @module
 */

import { quotePath } from "../proc/printable.ts";
import { ENXIO } from "../sys/errno.ts";
import { LockError, SyscallError } from "../sys/error.ts";
import { closeFile, isStillNamed, statFd } from "../sys/file.ts";
import { flockNow } from "../sys/lock/flock.ts";
import { renamePath, statIfAny } from "../sys/storage/names.ts";
import { openOutput } from "../sys/storage/output.ts";

/** The file in a directory of histories. */
const FILE_IN_DIRECTORY = "holdfast.jsonl";

/** A file that has grown to this gives way to a new one. */
const MAX_BYTES = 16n * 1024n * 1024n;

/** How many older parts are kept: `.1` is the youngest. */
const OLDER_PARTS = 4;

/**
 * Opens a history to append to it. Each write of a whole line arrives as a
 * whole, whoever else appends.
 *
 * A file that has grown to 16 MiB becomes part `.1` first, and what was that
 * becomes `.2`, up to `.4`. Whoever still has it open goes on writing there, so
 * no line is lost but those of the oldest part.
 *
 * Permissions: `--allow-ffi`.
 *
 * @param history A file, or a directory in which one is kept.
 * @param mostBytes The size at which a new file is begun.
 * @returns A descriptor.
 * @throws {LockError} when it can't be opened, or is a FIFO.
 */
export function openHistory(
  history: string,
  mostBytes: bigint = MAX_BYTES,
): number {
  const path = historyPath(history);
  for (;;) {
    const fd = openEventFile(path);
    rejectOthers(fd, path);
    if (statFd(fd).size < mostBytes || !rotate(fd, path)) return fd;
    closeFile(fd);
  }
}

function historyPath(history: string): string {
  const isDirectory = history.endsWith("/") ||
    statIfAny(history)?.type === "directory";
  return isDirectory
    ? `${history.replace(/\/+$/, "")}/${FILE_IN_DIRECTORY}`
    : history;
}

/**
 * Opens a file to append events to it.
 *
 * @returns A descriptor.
 * @throws {SyscallError} when it can't be opened.
 */
export function openEventFile(path: string): number {
  const fd = openOutput(path, "append");
  if (fd >= 0) return fd;
  throw new SyscallError("open event file", {
    syscall: "open",
    errno: -fd,
    path,
    advice: fd === -ENXIO ? "if it is a FIFO, read it first" : undefined,
  });
}

/** What is read and renamed must be a file; a device may swallow the lines. */
function rejectOthers(fd: number, path: string): void {
  const { type } = statFd(fd);
  if (type === "file" || type === "character device") return;
  closeFile(fd);
  throw new LockError(
    `Cannot keep a history in ${quotePath(path)}: it is a ${type}; name a ` +
      "file or a directory",
  );
}

/**
 * Renames a file and its older parts, by one process at a time.
 *
 * @returns Whether there is a new file to be opened now; false when it can't be
 * renamed: then it grows on.
 */
function rotate(fd: number, path: string): boolean {
  if (flockNow(fd, "exclusive") < 0) {
    // Somebody else is about to: to write here is as good.
    return false;
  }
  if (!isStillNamed(path, statFd(fd))) return true;
  for (let part = OLDER_PARTS; part > 1; part--) {
    renamePath(`${path}.${part - 1}`, `${path}.${part}`);
  }
  return renamePath(path, `${path}.1`) === 0;
}

/**
 * The files of a history that there are, the oldest first.
 *
 * @param history A file, or the directory in which one is kept.
 * @returns Their paths; the youngest even if there is none.
 */
export function listHistory(history: string): string[] {
  const path = historyPath(history);
  const parts: string[] = [];
  for (let part = OLDER_PARTS; part > 0; part--) {
    const older = `${path}.${part}`;
    if (statIfAny(older) !== undefined) parts.push(older);
  }
  return [...parts, path];
}
