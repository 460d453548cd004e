/**
 * Several locks at once, all or none.
 *
 * @module
 */

import { checkOptions, checkWord, rejectArgument } from "../lock/check.ts";
import { checkMode, type LockMode } from "../lock/flock/flock.ts";
import type { HeldLock } from "../lock/held_lock.ts";
import type { OpenedLockFile } from "../lock/lock_file.ts";
import { type LockPath, type PathLike, toLockPath } from "../lock/lock_path.ts";
import { fileOrder, LockGroup, releaseAll } from "../lock/lock_set.ts";
import { MAX_REPLACEMENTS, replacedTooOften } from "../lock/named_file.ts";
import type { RecordLockKind } from "../lock/record/record_lock.ts";
import { isStillNamed, statFd } from "../sys/file.ts";
import type { WaitableAttempt } from "../wait/lock_wake.ts";
import { type CoordOptions, openAttempt, WaitBudget } from "./budget.ts";

/** One lock of a group. */
export interface GroupMember {
  /** The lock file; created if need be. */
  path: PathLike;
  /** Shared or exclusive; exclusive unless set. */
  mode?: LockMode | undefined;
  /**
   * flock unless set, an fcntl(2) lock on the whole file, or `both`, flock and
   * an OFD lock. A file that is locked in two kinds is locked by two locks,
   * which don't see each other.
   */
  kind?: "flock" | RecordLockKind | "both" | undefined;
}

/** How {@linkcode acquireAll} takes a group. */
export interface AcquireAllOptions extends CoordOptions {
  /**
   * `ordered-wait`, unless set: takes the locks one after the other, in an
   * order of its own, holding the first ones while it waits for the next.
   * `try-all-backoff`: holds nothing while it waits, which is kinder to those
   * who need one of the locks only, and may have to begin anew many times.
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
 * Permissions: `--allow-ffi`. See flock(2).
 *
 * @param members The lock files, or paths of those to lock exclusively.
 * @param options `timeoutMs` for the whole group, `signal`, `strategy`.
 * @returns The locks as one; `members` are in the caller's order.
 * @throws {LockTimeoutError} when one was busy until the deadline: its `path`
 * is that member's, and it names the holders.
 * @throws {UnsupportedFilesystemError} when flock can't be relied on there.
 * @throws {SyscallError} when a file can't be opened or locked.
 * @throws {RangeError} when there are no members, or a bad `timeoutMs`.
 * @throws `signal.reason` when the signal aborts.
 *
 * @example
 * ```ts
 * import { acquireAll } from "@holdfast/holdfast/patterns";
 *
 * using locks = await acquireAll([
 *   { path: "/tmp/holdfast-from.lock", mode: "shared" },
 *   { path: "/tmp/holdfast-to.lock" },
 * ], { timeoutMs: 5000 });
 * console.log(locks.held);
 * ```
 */
export async function acquireAll(
  members: readonly (GroupMember | PathLike)[],
  options: AcquireAllOptions = {},
): Promise<LockGroup> {
  const named = readMembers(members);
  const budget = new WaitBudget(options);
  const open = await opener(named, options);
  const take = options.strategy === "try-all-backoff"
    ? takeWithBackoff
    : takeInOrder;
  for (let replaced = 0; replaced < MAX_REPLACEMENTS; replaced++) {
    const { waits } = budget;
    const group = await takeOnce(named, open, (files) => take(files, budget));
    if (group !== undefined) return group;
    // In a long wait, files may come and go as often as they like.
    if (budget.waits > waits) replaced = 0;
  }
  throw replacedTooOften(named.map(({ path }) => path.given).join(":"));
}

/** A member whose path means one file. */
interface NamedMember extends Omit<GroupMember, "path"> {
  path: LockPath;
}

function readMembers(
  members: readonly (GroupMember | PathLike)[],
): NamedMember[] {
  if (!Array.isArray(members)) rejectArgument("members", "an array", members);
  if (members.length === 0) throw new RangeError("A lock group needs a member");
  return members.map((member) => {
    if (typeof member === "string" || member instanceof URL) {
      return { path: toLockPath(member) };
    }
    checkOptions(member, "A member");
    const { path, mode = "exclusive", kind = "flock" } = member;
    checkMode(mode);
    checkWord(kind, ["flock", "ofd", "posix", "both"], "kind");
    return { path: toLockPath(path), mode, kind };
  });
}

/** A held lock whose file can be examined. */
interface MemberLock extends HeldLock {
  readonly fd: number;
}

/** A lock of any kind on its way to being taken. */
interface MemberAttempt extends WaitableAttempt<MemberLock>, Disposable {
  /** The file that it locks, whatever its name means by then. */
  readonly file: OpenedLockFile;
}

type Open = (member: NamedMember) => MemberAttempt;

/** How members are opened; record locks are loaded only when there are any. */
async function opener(
  members: readonly NamedMember[],
  { createParents, allowRemote }: AcquireAllOptions,
): Promise<Open> {
  // Pinned: a file that takes the place of another stands elsewhere in the
  // order, and must not be waited for while later ones are held.
  const checked = { createParents, allowRemote, pinned: true };
  const openFlock: Open = ({ path, mode = "exclusive" }) =>
    openAttempt(path, mode, checked);
  if (members.every(({ kind = "flock" }) => kind === "flock")) return openFlock;
  const { bothLockAttempt, recordLockAttempt } = await import("./record.ts");
  return (member) => {
    const { path, mode, kind = "flock" } = member;
    if (kind === "flock") return openFlock(member);
    return kind === "both"
      ? bothLockAttempt(path, { mode, ...checked })
      : recordLockAttempt(path, { kind, mode, ...checked });
  };
}

/** One file of a group. */
interface MemberFile {
  /** What its members call it. */
  names: [LockPath, ...LockPath[]];
  /** The places of those members. */
  indexes: number[];
  kind: GroupMember["kind"];
  mode: LockMode;
  attempt: MemberAttempt;
}

/**
 * Takes the group.
 *
 * @param take Takes the locks of its files, which it gets in their order.
 * @returns `undefined`, with nothing held, when a file was replaced meanwhile.
 */
async function takeOnce(
  members: readonly NamedMember[],
  open: Open,
  take: (files: readonly MemberFile[]) => Promise<MemberLock[] | undefined>,
): Promise<LockGroup | undefined> {
  const files = new Map<string, MemberFile>();
  let locks: MemberLock[] = [];
  let isTaken = false;
  try {
    if (!openFiles(members, open, files)) return undefined;
    const ordered = [...files].sort(([a], [b]) => a < b ? -1 : 1)
      .map(([, file]) => file);
    locks = await take(ordered) ?? [];
    isTaken = locks.length > 0 &&
      ordered.every((file, place) => isNamed(file, locks[place]!));
    if (!isTaken) return undefined;
    return new LockGroup(
      members.map((_, index) =>
        locks[ordered.findIndex(({ indexes }) => indexes.includes(index))]!
      ),
    );
  } finally {
    if (!isTaken) releaseAll(locks);
    for (const { attempt } of files.values()) attempt[Symbol.dispose]();
  }
}

/** Whether all names of a file still mean that of its lock. */
function isNamed({ names }: MemberFile, { fd }: MemberLock): boolean {
  const stat = statFd(fd);
  return names.every((name) => isStillNamed(name.absolute, stat));
}

/** Members with their places; `both` are the flock and OFD locks of others. */
function bothFirst(members: readonly NamedMember[]): [number, NamedMember][] {
  return [...members.entries()].sort(([, a], [, b]) =>
    Number(b.kind === "both") - Number(a.kind === "both")
  );
}

/**
 * Opens the files of a group, each once for a kind of lock.
 *
 * @param files Filled by what stands for their order.
 * @returns Whether each name meant the same file all along.
 */
function openFiles(
  members: readonly NamedMember[],
  open: Open,
  files: Map<string, MemberFile>,
): boolean {
  for (const [index, member] of bothFirst(members)) {
    const { path, mode = "exclusive", kind = "flock" } = member;
    const attempt = open(member);
    const order = fileOrder(attempt.file.stat);
    const known = files.get(`${order} ${kind}`) ??
      (kind === "posix" ? undefined : files.get(`${order} both`));
    if (known === undefined) {
      files.set(`${order} ${kind}`, {
        names: [path],
        indexes: [index],
        kind,
        mode,
        attempt,
      });
      continue;
    }
    attempt[Symbol.dispose]();
    known.names.push(path);
    known.indexes.push(index);
    if (mode === "exclusive" && known.mode === "shared") {
      known.attempt[Symbol.dispose]();
      known.mode = mode;
      known.attempt = open({ path, mode, kind: known.kind });
      if (fileOrder(known.attempt.file.stat) !== order) return false;
    }
  }
  return true;
}

/**
 * Takes the locks in order.
 *
 * @returns `undefined`, with nothing held, when a file was replaced meanwhile.
 */
async function takeInOrder(
  files: readonly MemberFile[],
  budget: WaitBudget,
): Promise<MemberLock[] | undefined> {
  const locks: MemberLock[] = [];
  let isTaken = false;
  try {
    for (const file of files) {
      const [path] = file.names;
      const lock = await budget.take(path, file.attempt);
      if (lock === undefined) throw await budget.timeoutError(path);
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
  files: readonly MemberFile[],
  budget: WaitBudget,
): Promise<MemberLock[]> {
  let first = files[0]!;
  for (let round = 0;; round++) {
    const [path] = first.names;
    const lock = await budget.take(path, first.attempt);
    if (lock === undefined) throw await budget.timeoutError(path);
    const locks = new Map([[first, lock]]);
    const busy = tryOthers(files, locks);
    if (busy === undefined) return files.map((file) => locks.get(file)!);
    releaseAll([...locks.values()]);
    first = busy;
    if (budget.leftMs === 0) throw await budget.timeoutError(busy.names[0]);
    // Two groups that meet again and again must not do so in step.
    await budget.pause(Math.random() * Math.min(2 ** round, MAX_BACKOFF_MS));
  }
}

/** Takes what isn't taken yet; gives the first file that is busy, if any. */
function tryOthers(
  files: readonly MemberFile[],
  locks: Map<MemberFile, MemberLock>,
): MemberFile | undefined {
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
