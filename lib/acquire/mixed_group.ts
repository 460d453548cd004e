/**
 * Lock files and locks in engines at once, all or none.
 *
 * @module
 */

import { acquireClusterLock } from "../cluster/acquire.ts";
import type { ClusterLock } from "../cluster/engine.ts";
import { inOneOrder, parseClusterUrl } from "../cluster/url.ts";
import { checkMode, type LockMode } from "../lock/flock/flock.ts";
import type { PathLike } from "../lock/lock_path.ts";
import {
  HeldMixedGroup,
  type LockGroup,
  type MixedLockGroup,
} from "../lock/lock_set.ts";
import { onFirstWait, WaitBudget } from "./budget.ts";
import type { AcquireAllOptions } from "./group.ts";
import {
  engineUrlOf,
  type FileMember,
  type GroupMember,
} from "./group_files.ts";

/** Takes locks of this machine: `acquireAll` without URLs. */
export type AcquireLocal = (
  members: readonly (GroupMember | PathLike)[],
  options: AcquireAllOptions,
) => Promise<LockGroup>;

/** A lock in an engine that a group has among its members. */
interface EngineMember {
  /** Its URL, as everybody writes it who means this lock. */
  readonly text: string;
  readonly mode: LockMode;
}

/**
 * Reads a member that is in an engine.
 *
 * @returns `undefined` for a member of this machine.
 * @throws {TypeError} when the URL or an option can't be used.
 */
function readEngineMember(
  member: GroupMember | PathLike,
  { mode: groupMode = "exclusive" }: AcquireAllOptions,
): EngineMember | undefined {
  const url = engineUrlOf(member);
  if (url === undefined) return undefined;
  const { path: _, mode = groupMode, ...others } = typeof member === "object"
    ? member as FileMember
    : { path: url };
  checkMode(mode);
  const name = Object.entries(others).find(([, it]) => it !== undefined)?.[0];
  if (name !== undefined) {
    throw new TypeError(
      `${name} must not be set for a lock in an engine that is one of a group`,
    );
  }
  return { text: parseClusterUrl(url).text, mode };
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
  const inEngines = members.map((member) => readEngineMember(member, options));
  const files = members.filter((_, index) => inEngines[index] === undefined);
  const modes = modesByUrl(inEngines.filter((member) => member !== undefined));
  const onWait = onFirstWait(options.onWait);
  await using taken = new AsyncDisposableStack();
  const fileLocks = files.length === 0
    ? undefined
    : taken.use(await acquireLocal(files, { ...options, onWait }));
  const byUrl = new Map<string, ClusterLock>();
  for (const text of inOneOrder([...modes.keys()])) {
    const lock = await acquireClusterLock(text, {
      signal: options.signal,
      timeoutMs: budget.leftMs === Infinity ? undefined : budget.leftMs,
      mode: modes.get(text),
      // Holders are processes of this machine.
      onWait: ({ path }) =>
        onWait?.({ path, readHolders: () => Promise.resolve([]) }),
    });
    byUrl.set(text, taken.use(lock));
  }
  let file = 0;
  const locks = inEngines.map((member) =>
    member === undefined ? fileLocks!.members[file++]! : byUrl.get(member.text)!
  );
  return new HeldMixedGroup(locks, taken.move());
}

/** Exclusive if any of those who name a lock asks for that. */
function modesByUrl(members: readonly EngineMember[]): Map<string, LockMode> {
  const modes = new Map<string, LockMode>();
  for (const { text, mode } of members) {
    if (modes.get(text) !== "exclusive") modes.set(text, mode);
  }
  return modes;
}
