/**
 * Lock files and link locks at once, all or none.
 *
 * @module
 */

import type { LinkLockOptions } from "../lock/link/link_lock.ts";
import type { LockPath } from "../lock/lock_path.ts";
import { HeldGroup, type LockGroup } from "../lock/lock_set.ts";
import { realPath } from "../sys/storage/names.ts";
import { dirname } from "../sys/path_parts.ts";
import { onFirstWait, WaitBudget } from "./budget.ts";
import type { AcquireAllOptions } from "./group.ts";
import type { NamedMember } from "./group_files.ts";
import { acquireLink } from "./link.ts";

/** A link lock of a group, whose path means one file. */
export interface NamedLinkMember {
  readonly path: LockPath;
  readonly kind: "link";
  /** What others are told, lease and so on. */
  readonly options: LinkLockOptions;
}

/** A member of either sort. */
export type LocalMember = NamedMember | NamedLinkMember;

/** Whether a member is locked by the kernel. */
export function isFileMember(member: LocalMember): member is NamedMember {
  return member.kind !== "link";
}

/**
 * Takes the files first and then the link locks, these by name: the same order
 * for everybody. A link lock that is named twice is taken once.
 *
 * @param acquireFiles Takes those that the kernel locks.
 */
export async function acquireWithLinks(
  members: readonly LocalMember[],
  options: AcquireAllOptions,
  acquireFiles: (
    members: readonly NamedMember[],
    options: AcquireAllOptions,
  ) => Promise<LockGroup>,
): Promise<LockGroup> {
  const budget = new WaitBudget(options);
  const files = members.filter(isFileMember);
  const waiting = { ...options, onWait: onFirstWait(options.onWait) };
  using taken = new DisposableStack();
  const fileLocks = files.length === 0
    ? undefined
    : taken.use(await acquireFiles(files, waiting));
  const links = Map.groupBy(
    members.filter((member) => !isFileMember(member)),
    ({ path }) => canonicalName(path),
  );
  const linkLocks = new Map<string, LockGroup["members"][number]>();
  for (const name of [...links.keys()].sort()) {
    const [{ path, options }] = links.get(name)! as [NamedLinkMember];
    const lock = await acquireLink(path, {
      ...options,
      timeoutMs: budget.leftMs,
      signal: waiting.signal,
      allowNested: waiting.allowNested,
      onWait: waiting.onWait,
    });
    linkLocks.set(name, taken.use(lock));
  }
  let file = 0;
  const locks = members.map((member) =>
    isFileMember(member)
      ? fileLocks!.members[file++]!
      : linkLocks.get(canonicalName(member.path))!
  );
  taken.move();
  return new HeldGroup(locks);
}

/** A name of a link lock that all who name it have in common. */
function canonicalName({ absolute }: LockPath): string {
  const directory = dirname(absolute);
  const entry = absolute.slice(absolute.lastIndexOf("/") + 1);
  return `${realPath(directory) ?? directory}/${entry}`;
}
