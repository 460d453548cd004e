/**
 * Locks for source trees, which have no room for a lock file of their own.
 *
 * @module
 */

import type { FlockHandle, LockMode } from "../lock/flock/flock.ts";
import { type PathLike, toPath } from "../lock/lock_path.ts";
import { encodePath } from "../proc/path_text.ts";
import { ENOENT } from "../sys/errno.ts";
import { SyscallError } from "../sys/error.ts";
import { realPath } from "../sys/storage/names.ts";
import { lockDirectory } from "./lock_directory.ts";
import { type LockWaitOptions, WaitBudget } from "../acquire/budget.ts";
import { flockAttempt } from "../acquire/flock_attempt.ts";

/**
 * The lock file of a directory tree: in the lock directory, named by the
 * tree's last component and a hash of its canonical path. All names of a
 * directory, through whatever links, have one lock.
 *
 * Permissions: `--allow-ffi`. See realpath(3).
 *
 * @param directory The root of the tree; it must exist.
 * @returns The path of the lock file, which isn't created.
 * @throws {SyscallError} when there is no such directory.
 *
 * @example
 * ```ts
 * import { treeLockPath } from "@holdfast/holdfast/patterns";
 *
 * console.log(await treeLockPath("/tmp"));
 * ```
 */
export async function treeLockPath(directory: PathLike): Promise<string> {
  const path = toPath(directory, "directory");
  const canonical = realPath(path);
  if (canonical === undefined) {
    throw new SyscallError("find the tree", {
      syscall: "realpath",
      errno: ENOENT,
      path,
      advice: "create it first",
    });
  }
  // Before anything is waited for: it may depend on the working directory.
  const lockFiles = lockDirectory();
  const digest = await crypto.subtle.digest(
    "SHA-256",
    encodePath(canonical),
  );
  const hash = new Uint8Array(digest).toHex().slice(0, 32);
  const name = canonical.slice(canonical.lastIndexOf("/") + 1)
    .replace(/[^\w.-]/g, "_").slice(0, 64) || "root";
  return `${lockFiles}/tree.${name}.${hash}.lock`;
}

/** How {@linkcode acquireTree} takes a lock. */
export interface AcquireTreeOptions extends LockWaitOptions {
  /** Shared or exclusive; exclusive unless set. */
  mode?: LockMode | undefined;
}

/**
 * Takes the lock of a directory tree, such as for a build in it; nothing is
 * written into the tree.
 *
 * Permissions: `--allow-ffi`. See flock(2).
 *
 * @param directory The root of the tree.
 * @param options `mode`, `timeoutMs`, `signal` and so on.
 * @returns The held lock; `using` releases it at the end of the block.
 * @throws {LockTimeoutError} when it was busy until the deadline.
 * @throws {SyscallError} when there is no such tree, or it can't be locked.
 * @throws `signal.reason` when the signal aborts.
 *
 * @example
 * ```ts
 * import { acquireTree } from "@holdfast/holdfast/patterns";
 *
 * using lock = await acquireTree(".", { timeoutMs: 60_000 });
 * console.log(`building under ${lock.path}`);
 * ```
 */
export async function acquireTree(
  directory: PathLike,
  options: AcquireTreeOptions = {},
): Promise<FlockHandle> {
  const path = await treeLockPath(directory);
  const budget = new WaitBudget(options);
  using attempt = flockAttempt(path, options);
  return await budget.acquire(path, attempt);
}
