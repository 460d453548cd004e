/**
 * Lock files and locks in engines at once, all or none.
 *
 * @module
 */

import { acquireClusterLock } from "../cluster/acquire.ts";
import type { ClusterLock } from "../cluster/engine.ts";
import { inOneOrder, parseClusterUrl } from "../cluster/url.ts";
import type { LockMode } from "../lock/flock/flock.ts";
import { isLockUrl, type LockUrl, type PathLike } from "../lock/lock_path.ts";
import {
  HeldMixedGroup,
  type LockGroup,
  type MixedLockGroup,
} from "../lock/lock_set.ts";
import { WaitBudget } from "./budget.ts";
import type { AcquireAllOptions } from "./group.ts";
import type { GroupMember } from "./group_files.ts";

/** Takes locks of this machine: `acquireAll` without URLs. */
export type AcquireLocal = (
  members: readonly (GroupMember | PathLike)[],
  options: AcquireAllOptions,
) => Promise<LockGroup>;

/** The URL of a member that is in an engine. */
function urlOf(member: GroupMember | PathLike): LockUrl | undefined {
  const name = typeof member === "object" && "path" in member
    ? member.path
    : member;
  return isLockUrl(name) ? name : undefined;
}

/**
 * Takes the files first and then the locks in engines, these by name: the same
 * order for everybody.
 */
export async function acquireMixed(
  members: readonly (GroupMember | PathLike)[],
  options: AcquireAllOptions,
  acquireLocal: AcquireLocal,
): Promise<MixedLockGroup> {
  const budget = new WaitBudget(options);
  const files = members.filter((member) => urlOf(member) === undefined);
  const urls = members.flatMap((member) => urlOf(member) ?? []);
  await using taken = new AsyncDisposableStack();
  const fileLocks = files.length === 0
    ? undefined
    : taken.use(await acquireLocal(files, options));
  const byUrl = new Map<string, ClusterLock>();
  for (const url of inOneOrder(urls)) {
    const lock = await acquireClusterLock(url, {
      signal: options.signal,
      timeoutMs: budget.leftMs === Infinity ? undefined : budget.leftMs,
      mode: modeOf(members, url, options.mode),
    });
    byUrl.set(url, taken.use(lock));
  }
  let file = 0;
  const locks = members.map((member) => {
    const url = urlOf(member);
    return url === undefined
      ? fileLocks!.members[file++]!
      : byUrl.get(parseClusterUrl(url).text)!;
  });
  return new HeldMixedGroup(locks, taken.move());
}

/** Exclusive if any of those who name it asks for that. */
function modeOf(
  members: readonly (GroupMember | PathLike)[],
  text: string,
  groupMode: LockMode = "exclusive",
): LockMode {
  const modes = members.flatMap((member) => {
    const url = urlOf(member);
    if (url === undefined || parseClusterUrl(url).text !== text) return [];
    return typeof member === "object" && "path" in member
      ? [member.mode ?? groupMode]
      : [groupMode];
  });
  return modes.includes("exclusive") ? "exclusive" : "shared";
}
