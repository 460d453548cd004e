/**
 * Removing a link lock from outside.
 *
 * @module
 */

import { quotePath } from "../../proc/printable.ts";
import { LockError } from "../../sys/error.ts";
import { isOwnIdentity } from "../../sys/process/identity.ts";
import type { PathLike } from "../lock_path.ts";
import { noteFence } from "./fence.ts";
import { LinkNames } from "./names.ts";
import { formatLinkOwnerLine, judgeLinkOwner } from "./owner.ts";
import { plainOwner, removeByClaim } from "./protocol.ts";
import { readStoredOwner, type StoredOwner } from "./stored_owner.ts";

/**
 * Removes a link lock whose owner can be verified: this very process, or a
 * process proved dead.
 *
 * Permissions as for {@linkcode tryLinkLock}.
 *
 * @param path The lock.
 * @returns Whether a lock was removed; `false` when there was none any more.
 * @throws {LockError} when the owner lives, or that can't be told.
 * @throws {ForeignLinkLockError} when something else stands at the path.
 *
 * @example
 * ```ts
 * import { releaseLinkLock } from "@holdfast/holdfast/link-lock";
 *
 * console.log(releaseLinkLock("/tmp/holdfast-example.link"));
 * ```
 */
export function releaseLinkLock(path: PathLike): boolean {
  return remove(path, ({ owner }) => {
    if (isOwnIdentity(owner)) return undefined;
    const { liveness, reason } = judgeLinkOwner(owner);
    return liveness === "dead" ? undefined : reason;
  });
}

/**
 * Removes a link lock whoever owns it. If the owner still acts, two programs
 * then believe that they hold the lock.
 *
 * Permissions as for {@linkcode tryLinkLock}.
 *
 * @param path The lock.
 * @param token The token of the owner to remove, so that no other is hit.
 * @returns Whether it was removed by this call.
 */
export function forceLinkLock(path: PathLike, token: string): boolean {
  return remove(path, () => undefined, token);
}

function remove(
  path: PathLike,
  objection: (stored: StoredOwner) => string | undefined,
  token?: string,
): boolean {
  const names = new LinkNames(path);
  const stored = readStoredOwner(names.path, names.given);
  if (stored === undefined) return false;
  if (token !== undefined && stored.owner.token !== token) return false;
  const refuse = (reason: string) => {
    throw new LockError(
      `Cannot break link lock ${quotePath(names.given)}: ${reason}; held by ` +
        formatLinkOwnerLine(stored.owner),
    );
  };
  const reason = objection(stored);
  if (reason !== undefined) refuse(reason);
  noteFence(names, stored.owner.fence);
  const outcome = removeByClaim(
    names,
    stored.owner.token,
    plainOwner(),
    (found) => objection(found) === undefined,
  );
  if (outcome === "claimed") refuse("another process is about to remove it");
  return outcome === "removed";
}
