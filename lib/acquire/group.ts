/**
 * Several locks at once, all or none.
 *
 * @module
 */

import { checkOptions, checkWord, rejectArgument } from "../lock/check.ts";
import { checkMode, type LockMode } from "../lock/flock/flock.ts";
import type { LinkLockOptions } from "../lock/link/link_lock.ts";
import { closeWithWorker, inWorker } from "../lock/lock_file.ts";
import { type LockUrl, type PathLike, toLockPath } from "../lock/lock_path.ts";
import {
  HeldGroup,
  type LockGroup,
  type MixedLockGroup,
  releaseAll,
} from "../lock/lock_set.ts";
import { MAX_REPLACEMENTS, replacedTooOften } from "../lock/lock_attempt.ts";
import { isStillNamed, statFd } from "../sys/file.ts";
import { type LockWaitOptions, WaitBudget } from "./budget.ts";
import {
  engineUrlOf,
  type FileMember,
  type GroupFile,
  type GroupMember,
  type LinkMember,
  type MemberLock,
  memberOpener,
  type NamedMember,
  openInOrder,
  type OpenMember,
  type RangeMember,
} from "./group_files.ts";
import { kindOf, type LockKind } from "./kind_options.ts";
import type { LocalMember } from "./link_group.ts";

export type {
  FileMember,
  GroupMember,
  LinkMember,
  RangeMember,
} from "./group_files.ts";

/** How {@linkcode acquireAll} takes a group. */
export interface AcquireAllOptions extends LockWaitOptions {
  /** The kind of those members that name none; flock unless set. */
  kind?: LockKind | undefined;
  /** The mode of those members that name none; exclusive unless set. */
  mode?: LockMode | undefined;
  /**
   * `ordered-wait`, unless set: takes the locks one after the other, in an
   * order of its own, holding the first ones while it waits for the next.
   * `try-all-backoff`: holds nothing while it waits, which is kinder to those
   * who need only one of the locks, but may have to start over many times.
   */
  strategy?: "ordered-wait" | "try-all-backoff" | undefined;
}

/**
 * Takes several locks, all or none, waiting until they are free, the time is
 * up or the signal aborts.
 *
 * Everybody takes them in one order, by device and inode of the opened files,
 * so no two groups wait for each other, whatever order or names their callers
 * use. A file named twice, or by two names, is locked once, exclusively if
 * either asks for it. When one has been removed or replaced meanwhile, all are
 * released and opened anew: the new file may stand elsewhere in the order.
 *
 * Link locks are taken after the other files, and locks in engines, which are
 * named by URLs, after those; each in the order of their names. `./cluster`
 * documents locks in engines.
 *
 * Permissions: `--allow-ffi`; for URLs `--allow-net`. See flock(2).
 *
 * @param members The locks: paths and URLs, or objects that have one as `path`
 * and say how that is locked.
 * @param options `kind` and `mode` of those that name none, `timeoutMs` for the
 * whole group, `signal`, `onWait`, `strategy`.
 * @returns The locks as one; `members` are in the caller's order.
 * @throws {LockTimeoutError} when one was busy until the deadline: its `path`
 * is that member's, and it names the holders.
 * @throws {UnsupportedFilesystemError} when a lock can't be relied on where it
 * is.
 * @throws {SyscallError} when a file can't be opened or locked.
 * @throws {RangeError} when there are no members, a bad `timeoutMs`, or a file
 * is to be locked as `posix` and as `ofd`, which exclude each other.
 * @throws {TypeError} when an argument is of the wrong type, or an option of
 * another kind.
 * @throws `signal.reason` when the signal aborts.
 *
 * @example
 * ```ts
 * import { acquireAll } from "@holdfast/holdfast";
 *
 * using locks = await acquireAll([
 *   { path: "/tmp/holdfast-from.lock", mode: "shared" },
 *   { path: "/tmp/holdfast-to.lock" },
 * ], { timeoutMs: 5000 });
 * console.log(locks.held);
 * ```
 */
export function acquireAll<
  const Members extends readonly (GroupMember | PathLike)[],
>(
  members: MembersOf<Members>,
  options: AcquireAllOptions = {},
): Promise<GroupOf<Members[number]>> {
  return acquireGroup(members, options) as Promise<GroupOf<Members[number]>>;
}

/** The members as they are given, each without the options of another kind. */
export type MembersOf<Members extends readonly unknown[]> = {
  readonly [Place in keyof Members]: MemberOf<Members[Place]>;
};

/** A member without options that its kind doesn't have. */
export type MemberOf<Member> = Member extends PathLike ? Member
  :
    & Member
    & {
      readonly [
        Name in Exclude<
          keyof Member,
          keyof (Member extends { kind: "link" } ? LinkMember
            : Member extends { kind: "ofd" | "posix" } ? RangeMember
            : FileMember)
        >
      ]?: undefined;
    };

/** What a group is held as: a `MixedLockGroup` with a URL among its members. */
export type GroupOf<Member> =
  Extract<Member, LockUrl | { path: LockUrl }> extends never ? LockGroup
    : MixedLockGroup;

const STRATEGIES = ["ordered-wait", "try-all-backoff"];

async function acquireGroup(
  members: readonly (GroupMember | PathLike)[],
  options: AcquireAllOptions,
): Promise<LockGroup | MixedLockGroup> {
  checkOptions(options);
  checkWord(options.strategy ?? "ordered-wait", STRATEGIES, "strategy");
  if (!Array.isArray(members)) rejectArgument("members", "an array", members);
  if (members.length === 0) throw new RangeError("A lock group needs a member");
  if (!members.some((member) => engineUrlOf(member) !== undefined)) {
    return await acquireLocal(members, options);
  }
  // Not a literal: see `acquire`.
  const { acquireMixed }: typeof import("./mixed_group.ts") = await import(
    new URL("./mixed_group.ts", import.meta.url).href
  );
  rejectBackoff(options, "locks in engines");
  return await acquireMixed(members, options, acquireLocal);
}

/** Takes locks of this machine. */
async function acquireLocal(
  members: readonly (GroupMember | PathLike)[],
  options: AcquireAllOptions,
): Promise<LockGroup> {
  const named = members.map((member) => readMember(member, options));
  const files = named.filter((member) => member.kind !== "link");
  if (files.length === named.length) return await acquireFiles(files, options);
  rejectBackoff(options, "link locks");
  const { acquireWithLinks } = await import("./link_group.ts");
  return await acquireWithLinks(named, options, acquireFiles);
}

/** @throws {TypeError} for a strategy of the kernel's locks alone. */
function rejectBackoff({ strategy }: AcquireAllOptions, locks: string): void {
  if (strategy !== "try-all-backoff") return;
  throw new TypeError(`strategy must be "ordered-wait" for ${locks}`);
}

async function acquireFiles(
  members: readonly NamedMember[],
  options: AcquireAllOptions,
): Promise<LockGroup> {
  const budget = new WaitBudget(options);
  if (inWorker) await closeWithWorker();
  const open = await memberOpener(members, options);
  const take = options.strategy === "try-all-backoff"
    ? takeWithBackoff
    : takeInOrder;
  for (let replaced = 0; replaced < MAX_REPLACEMENTS; replaced++) {
    const { waits } = budget;
    const group = await takeOnce(members, open, (files) => take(files, budget));
    if (group !== undefined) return group;
    // In a long wait, files may come and go as often as they like.
    if (budget.waits > waits) replaced = 0;
  }
  throw replacedTooOften(members.map(({ path }) => path.given).join(":"));
}

/** Completes a member by what is said of the whole group. */
function readMember(
  member: GroupMember | PathLike,
  group: AcquireAllOptions,
): LocalMember {
  const given: GroupMember = isPath(member) ? { path: member } : member;
  checkOptions(given, "A member");
  const { path, ...rest } = given;
  const options = {
    ...rest,
    kind: rest.kind ?? group.kind ?? "flock",
    mode: rest.mode ?? group.mode ?? "exclusive",
  };
  const kind = kindOf<LockKind>(options);
  checkMode(options.mode);
  if (kind === "link") {
    return {
      path: toLockPath(path),
      kind,
      options: options as LinkLockOptions,
    };
  }
  const { mode, range } = options as NamedMember;
  return { path: toLockPath(path), kind, mode, range };
}

function isPath(member: GroupMember | PathLike): member is PathLike {
  return typeof member === "string" || member instanceof URL;
}

/**
 * Takes the group.
 *
 * @param take Takes the locks of its files, which it gets in their order.
 * @returns `undefined`, with nothing held, when a file was replaced meanwhile.
 */
async function takeOnce(
  members: readonly NamedMember[],
  open: OpenMember,
  take: (files: readonly GroupFile[]) => Promise<MemberLock[] | undefined>,
): Promise<LockGroup | undefined> {
  using opened = new DisposableStack();
  const files = openInOrder(members, (member) => opened.use(open(member)));
  const locks = files && await take(files);
  if (files === undefined || locks === undefined) return undefined;
  let isTaken = false;
  try {
    isTaken = files.every((file, place) => isNamed(file, locks[place]!));
    if (!isTaken) return undefined;
    return new HeldGroup(
      members.map((_, index) =>
        locks[files.findIndex(({ indexes }) => indexes.includes(index))]!
      ),
    );
  } finally {
    if (!isTaken) releaseAll(locks);
  }
}

/** Whether all names of a file still mean that of its lock. */
function isNamed({ names }: GroupFile, { fd }: MemberLock): boolean {
  const stat = statFd(fd);
  return names.every((name) => isStillNamed(name.absolute, stat));
}

/**
 * Takes the locks in order.
 *
 * @returns `undefined`, with nothing held, when a file was replaced meanwhile.
 */
async function takeInOrder(
  files: readonly GroupFile[],
  budget: WaitBudget,
): Promise<MemberLock[] | undefined> {
  const locks: MemberLock[] = [];
  let isTaken = false;
  try {
    for (const file of files) {
      const lock = await budget.acquire(file.names[0], file.attempt);
      locks.push(lock);
      if (!isNamed(file, lock)) return undefined;
    }
    isTaken = true;
    return locks;
  } finally {
    if (!isTaken) releaseAll(locks);
  }
}

/** Longest pause before a group is tried anew, in milliseconds. */
const MAX_BACKOFF_MS = 50;

/**
 * Takes the locks without ever waiting while it holds one: it waits for the
 * one that was busy last, and tries the others when that has become free.
 */
async function takeWithBackoff(
  files: readonly GroupFile[],
  budget: WaitBudget,
): Promise<MemberLock[]> {
  let first = files[0]!;
  for (let round = 0;; round++) {
    const lock = await budget.acquire(first.names[0], first.attempt);
    const locks = new Map([[first, lock]]);
    const busy = tryOthers(files, locks);
    if (busy === undefined) {
      return await Promise.all(
        files.map((file) => budget.watch(locks.get(file)!, file.attempt)),
      );
    }
    releaseAll([...locks.values()]);
    first = busy;
    if (budget.leftMs === 0) {
      throw await budget.timeoutError(busy.names[0], busy.attempt);
    }
    // Two groups that meet again and again must not do so in step.
    await budget.pause(Math.random() * Math.min(2 ** round, MAX_BACKOFF_MS));
  }
}

/** Takes what isn't taken yet; gives the first file that is busy, if any. */
function tryOthers(
  files: readonly GroupFile[],
  locks: Map<GroupFile, MemberLock>,
): GroupFile | undefined {
  try {
    return files.find((file) => {
      if (locks.has(file)) return false;
      const lock = file.attempt.try();
      if (lock !== undefined) locks.set(file, lock);
      return lock === undefined;
    });
  } catch (error) {
    releaseAll([...locks.values()]);
    throw error;
  }
}
