/**
 * Several locks at once, all or none.
 *
 * @module
 */

import type { LockMode } from "../lock/flock/flock.ts";
import type { HeldLock } from "../lock/held_lock.ts";
import { fileOrder, LockGroup, releaseAll } from "../lock/lock_set.ts";
import type { RecordLockKind } from "../lock/record/record_lock.ts";
import type { WaitableAttempt } from "../wait/lock_wake.ts";
import { type CoordOptions, openAttempt, WaitBudget } from "./budget.ts";

/** One lock of a group. */
export interface GroupMember {
  /** The lock file; created if need be. */
  path: string;
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
 * either asks for it.
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
  members: readonly (GroupMember | string)[],
  options: AcquireAllOptions = {},
): Promise<LockGroup> {
  if (members.length === 0) throw new RangeError("A lock group needs a member");
  const budget = new WaitBudget(options);
  const take = options.strategy === "try-all-backoff"
    ? takeWithBackoff
    : takeInOrder;
  for (;;) {
    const entries = await openInOrder(members, options);
    try {
      const locks = await take(entries, budget);
      if (locks === undefined) continue;
      return new LockGroup(
        members.map((_, index) =>
          locks[entries.findIndex(({ indexes }) => indexes.includes(index))]!
        ),
      );
    } finally {
      for (const { attempt } of entries) attempt[Symbol.dispose]();
    }
  }
}

/** A held lock whose file can be examined. */
interface MemberLock extends HeldLock {
  readonly fd: number;
}

/** A lock of any kind on its way to being taken. */
interface MemberAttempt extends WaitableAttempt<MemberLock>, Disposable {}

type Open = (member: GroupMember) => MemberAttempt;

/** How members are opened; record locks are loaded only when there are any. */
async function opener(
  members: readonly GroupMember[],
  options: AcquireAllOptions,
): Promise<Open> {
  const openFlock: Open = ({ path, mode = "exclusive" }) =>
    openAttempt(path, mode, options);
  if (members.every(({ kind = "flock" }) => kind === "flock")) return openFlock;
  const { bothLockAttempt, recordLockAttempt } = await import(
    "./record.ts"
  );
  const { createParents, allowRemote } = options;
  return (member) => {
    const { path, mode, kind = "flock" } = member;
    if (kind === "flock") return openFlock(member);
    const checked = { mode, createParents, allowRemote };
    return kind === "both"
      ? bothLockAttempt(path, checked)
      : recordLockAttempt(path, { kind, ...checked });
  };
}

/** One file of a group. */
interface Entry {
  path: string;
  /** Device and inode. */
  key: string;
  /** The same with the kind of lock, which is what orders them. */
  id: string;
  kind: GroupMember["kind"];
  mode: LockMode;
  attempt: MemberAttempt;
  /** The members that name this file. */
  indexes: number[];
}

/** Members with their places; `both` are the flock and OFD locks of others. */
function bothFirst(members: readonly GroupMember[]): [number, GroupMember][] {
  return [...members.entries()].sort(([, a], [, b]) =>
    Number(b.kind === "both") - Number(a.kind === "both")
  );
}

async function openInOrder(
  named: readonly (GroupMember | string)[],
  options: AcquireAllOptions,
): Promise<Entry[]> {
  const members = named.map((member) =>
    typeof member === "string" ? { path: member } : member
  );
  const open = await opener(members, options);
  const byKey = new Map<string, Entry>();
  try {
    for (const [index, member] of bothFirst(members)) {
      const { path, mode = "exclusive", kind = "flock" } = member;
      const attempt = open(member);
      const key = fileOrder(attempt.fd);
      const id = `${key} ${kind}`;
      const known = byKey.get(id) ??
        (kind === "posix" ? undefined : byKey.get(`${key} both`));
      if (known === undefined) {
        byKey.set(id, { path, key, id, kind, mode, attempt, indexes: [index] });
        continue;
      }
      attempt[Symbol.dispose]();
      known.indexes.push(index);
      if (mode === "exclusive" && known.mode === "shared") {
        known.attempt[Symbol.dispose]();
        known.mode = mode;
        known.attempt = open({ path, mode, kind: known.kind });
      }
    }
  } catch (error) {
    for (const { attempt } of byKey.values()) attempt[Symbol.dispose]();
    throw error;
  }
  return [...byKey.values()].sort((a, b) => a.id < b.id ? -1 : 1);
}

/**
 * Takes the locks in order.
 *
 * @returns `undefined` when a file was replaced meanwhile: the order of the
 * new ones may be another.
 */
async function takeInOrder(
  entries: readonly Entry[],
  budget: WaitBudget,
): Promise<MemberLock[] | undefined> {
  const locks: MemberLock[] = [];
  try {
    for (const { path, key, attempt } of entries) {
      const lock = await budget.take(path, attempt);
      if (lock === undefined) throw await budget.timeoutError(path);
      locks.push(lock);
      if (fileOrder(lock.fd) !== key) {
        releaseAll(locks);
        return undefined;
      }
    }
    return locks;
  } catch (error) {
    releaseAll(locks);
    throw error;
  }
}

/** Longest pause before a group is tried anew, in milliseconds. */
const MAX_BACKOFF_MS = 50;

/**
 * Takes the locks without ever waiting while it holds one: it waits for the
 * one that was busy last, and tries the others when that has become free.
 */
async function takeWithBackoff(
  entries: readonly Entry[],
  budget: WaitBudget,
): Promise<MemberLock[]> {
  let first = entries[0]!;
  for (let round = 0;; round++) {
    const lock = await budget.take(first.path, first.attempt);
    if (lock === undefined) throw await budget.timeoutError(first.path);
    const locks = new Map([[first, lock]]);
    const busy = tryOthers(entries, locks);
    if (busy === undefined) return entries.map((entry) => locks.get(entry)!);
    releaseAll([...locks.values()]);
    first = busy;
    if (budget.leftMs === 0) throw await budget.timeoutError(busy.path);
    // Two groups that meet again and again must not do so in step.
    await budget.pause(Math.random() * Math.min(2 ** round, MAX_BACKOFF_MS));
  }
}

/** Takes what isn't taken yet; gives the first entry that is busy, if any. */
function tryOthers(
  entries: readonly Entry[],
  locks: Map<Entry, MemberLock>,
): Entry | undefined {
  try {
    return entries.find((entry) => {
      if (locks.has(entry)) return false;
      const lock = entry.attempt.try();
      if (lock !== undefined) locks.set(entry, lock);
      return lock === undefined;
    });
  } catch (error) {
    releaseAll([...locks.values()]);
    throw error;
  }
}
