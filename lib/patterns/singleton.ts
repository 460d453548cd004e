/**
 * Programs of which only one may run.
 *
 * @module
 */

import type { FlockHandle } from "../lock/flock/flock.ts";
import { type PathLike, toPath } from "../lock/lock_path.ts";
import { namedPath } from "./lock_directory.ts";
import { flockAttempt } from "../acquire/flock_attempt.ts";

/**
 * Makes sure that a program runs once only: takes a lock that lasts until the
 * process ends, however that ends. Keep the result in a variable that lives as
 * long.
 *
 * Permissions: `--allow-ffi`. See flock(2).
 *
 * @param nameOrPath A name, whose lock is in the lock directory of this user,
 * or the path of a lock file (with a slash in it).
 * @returns The lock, or `undefined` when the program is running already.
 * @throws {SyscallError} when the lock file can't be opened or locked.
 * @throws {UnsupportedFilesystemError} when flock can't be relied on there.
 * @throws {RangeError} when it is neither a name nor a path.
 *
 * @example
 * ```ts
 * import { trySingleton } from "@holdfast/holdfast/patterns";
 *
 * using only = trySingleton("example-daemon");
 * console.log(only ? "I am the one" : "there is one already");
 * ```
 */
export function trySingleton(nameOrPath: PathLike): FlockHandle | undefined {
  const path = namedPath(
    toPath(nameOrPath, "nameOrPath"),
    ".lock",
    "singleton name",
  );
  using attempt = flockAttempt(path);
  return attempt.try();
}
