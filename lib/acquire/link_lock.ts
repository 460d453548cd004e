/**
 * Locks by hard link, for where flock(2) can't be trusted, such as NFS.
 *
 * ```ts
 * import { acquireLinkLock } from "@holdfast/holdfast/link-lock";
 *
 * using lock = await acquireLinkLock("/tmp/holdfast-example.link", {
 *   timeoutMs: 5000,
 *   message: "nightly job",
 * });
 * console.log(`holder number ${lock.fence}`);
 * ```
 *
 * Permissions: `--allow-read` and `--allow-write` for the lock's directory,
 * and `--allow-ffi` to tell whether an owner is alive. Without the last, give
 * `--allow-sys=hostname,uid` and `--allow-read=/etc/machine-id` to be named to
 * others; locks are then taken and released, but none is ever found stale.
 *
 * @module
 */

export * from "./loaded.ts";
export * from "../lock/link/mod.ts";
export type { HeldLock } from "../lock/held_lock.ts";
export type { HolderInfo } from "../inspect/holder.ts";
export type { HolderSource } from "../inspect/lock_holders.ts";
export type { WaitInfo } from "./budget.ts";
export type { NestedOptions } from "./nested.ts";
export type { WaitOptions } from "../wait/attempt_loop.ts";
export { LockError } from "../sys/error.ts";
export {
  type LockTimeout,
  LockTimeoutError,
} from "../wait/lock_timeout_error.ts";
export {
  acquireLinkLock,
  type AcquireLinkLockOptions,
  LinkLockTimeoutError,
  type LinkWaitInfo,
  withLinkLock,
} from "./link.ts";
