/**
 * Where locks live that go by a name and not by a path.
 *
 * @module
 */

import { toLockPath } from "../lock/lock_path.ts";
import { makeDirectories } from "../lock/lock_file.ts";
import { rejectForeignDirectory } from "../lock/symlink.ts";
import { quotePath } from "../proc/printable.ts";
import { currentUid, environmentVariable } from "../sys/process/environment.ts";
import { EEXIST } from "../sys/errno.ts";
import { LockError, SyscallError } from "../sys/error.ts";
import { statPath } from "../sys/file.ts";
import { makeDirectory } from "../sys/storage/names.ts";

/**
 * The directory of named locks: `HOLDFAST_LOCK_DIR` when it is set, else a
 * directory of this user alone: `$XDG_RUNTIME_DIR/holdfast`,
 * `/run/user/UID/holdfast` or `/tmp/holdfast-UID`, the first that there can be.
 *
 * It is created if need be. One under a runtime directory or /tmp is made with
 * mode 0700, and refused when it is a symbolic link, belongs to somebody else
 * or can be written by others. The one in `HOLDFAST_LOCK_DIR` is taken as it
 * is, unless it is a symbolic link that another user has put into a directory
 * open to everyone: it may well be meant for a group of users.
 *
 * Permissions: `--allow-ffi`. See the XDG Base Directory Specification.
 *
 * @returns An absolute path.
 * @throws {LockError} when what stands there can't be trusted.
 * @throws {SyscallError} when it can't be created.
 *
 * @example
 * ```ts
 * import { lockDirectory } from "@holdfast/holdfast/patterns";
 *
 * console.log(lockDirectory()); // such as /run/user/1000/holdfast
 * ```
 */
export function lockDirectory(): string {
  const chosen = environmentVariable("HOLDFAST_LOCK_DIR");
  if (chosen !== undefined) {
    const directory = toLockPath(chosen);
    rejectForeignDirectory(directory);
    makeDirectories(directory.absolute);
    return directory.absolute;
  }
  const uid = currentUid();
  const runtime = [environmentVariable("XDG_RUNTIME_DIR"), `/run/user/${uid}`]
    .find((path) => path?.startsWith("/") && isPrivate(path, uid));
  const path = runtime === undefined
    ? `/tmp/holdfast-${uid}`
    : `${runtime.replace(/\/+$/, "")}/holdfast`;
  makePrivateDirectory(path, uid);
  return path;
}

/** Under sudo(8), XDG_RUNTIME_DIR may still be that of another user. */
function isPrivate(path: string, uid: number): boolean {
  try {
    const stat = statPath(path);
    return stat?.type === "directory" && stat.uid === uid &&
      (stat.permissions & 0o022) === 0;
  } catch (error) {
    if (error instanceof SyscallError) return false;
    throw error;
  }
}

/**
 * Creates a directory for this user alone, or makes sure that the one there is
 * such: in /tmp anybody may have made it first.
 *
 * @throws {LockError} when it can't be trusted.
 * @throws {SyscallError} when it can't be created.
 */
export function makePrivateDirectory(path: string, uid: number): void {
  const result = makeDirectory(path, 0o700);
  if (result < 0 && result !== -EEXIST) {
    throw new SyscallError("create lock directory", {
      syscall: "mkdir",
      errno: -result,
      path,
      advice: "set HOLDFAST_LOCK_DIR to a directory that can be created",
    });
  }
  const stat = statPath(path, { followSymlink: false });
  const flaw = stat === undefined
    ? "it has just been removed"
    : stat.type !== "directory"
    ? `it is a ${stat.type}`
    : stat.uid !== uid
    ? `it belongs to user ${stat.uid}`
    : (stat.permissions & 0o022) !== 0
    ? "others may write to it"
    : undefined;
  if (flaw === undefined) return;
  throw new LockError(
    `Cannot trust the lock directory ${quotePath(path)}: ${flaw}; ` +
      "remove it, or set HOLDFAST_LOCK_DIR to a directory of your own",
  );
}

/** Longest name of a lock, in bytes, which leaves room for what is added. */
const MAX_NAME_BYTES = 200;

/**
 * Checks that a name can be part of a file name: not empty, not hidden, no
 * slash, no control character, at most 200 bytes.
 *
 * @param name The name.
 * @param what What it names, for the error: `slot name`, `cache key`.
 * @throws {RangeError} when it can't.
 */
export function checkName(name: string, what: string): void {
  const bytes = new TextEncoder().encode(name).length;
  if (
    /^[^./\p{Cc}][^/\p{Cc}]*$/u.test(name) &&
    bytes <= MAX_NAME_BYTES
  ) return;
  throw new RangeError(
    `A ${what} must have 1 to ${MAX_NAME_BYTES} bytes, no slash or control ` +
      `character and no dot in front, got ${quotePath(name)}`,
  );
}

/**
 * The path that a lock goes by: a name without a slash is one in the
 * {@linkcode lockDirectory}, anything else is a path already.
 *
 * @param nameOrPath `build`, or `./build` or `/srv/build` for a path.
 * @param suffix What a name gets: `.lock`.
 * @param what What it names, for errors.
 * @throws {RangeError} when it can be neither.
 */
export function namedPath(
  nameOrPath: string,
  suffix: string,
  what: string,
): string {
  if (nameOrPath.includes("/")) return nameOrPath;
  checkName(nameOrPath, what);
  return `${lockDirectory()}/${nameOrPath}${suffix}`;
}
