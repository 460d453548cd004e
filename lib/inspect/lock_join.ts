/**
 * Puts the lines of /proc/locks and of all fdinfo files together. Pure: values
 * in, values out.
 *
 * @module
 */

import type { ProcLock } from "../proc/proc_locks.ts";
import type { LockedDescriptor } from "./descriptor_scan.ts";

/** A descriptor by process and number. */
export interface DescriptorRef {
  /** The process that has it open. */
  pid: number;
  /** Its number there. */
  fd: number;
}

/** A lock that is held. */
export interface JoinedLock {
  /** The kernel's line about it. */
  line: ProcLock;
  /** Whether /proc/locks has it; else only fdinfo does. */
  listed: boolean;
  /** The descriptors it is held through, as far as they can be read. */
  descriptors: readonly DescriptorRef[];
}

/** Somebody asleep until a lock is free. */
export interface JoinedWaiter {
  /** The kernel's line about the wish. */
  line: ProcLock;
  /** The locks that stand in its way. */
  blockers: JoinedLock[];
  /**
   * The first line of its group in /proc/locks: the lock it was queued on.
   * It names the file where the waiter's own line has `<none>`.
   */
  head: ProcLock | undefined;
}

/** All locks and waiters of one reading. */
export interface JoinedLocks {
  /** In the order of /proc/locks, then those that it hides. */
  locks: JoinedLock[];
  /** In the order of /proc/locks. */
  waiters: JoinedWaiter[];
}

/**
 * Tells apart descriptors that carry locks which look alike, by the open file
 * description they share.
 *
 * @returns The descriptors in groups that share one; `undefined` when that
 * can't be known.
 */
export type GroupDescriptors = (
  descriptors: readonly DescriptorRef[],
) => DescriptorRef[][] | undefined;

/**
 * Joins the two views that the kernel gives of its locks.
 *
 * Every line that isn't a waiter's becomes exactly one lock, every `->` line
 * one waiter, and every lock of a descriptor that no line stands for becomes
 * a lock of its own. Linear in lines and descriptors, save for the waiters of
 * one file, each of which is compared with the locks of that file.
 *
 * @param lines The lines of /proc/locks, in order.
 * @param descriptors The descriptors that carry locks.
 * @param group Called for descriptors of locks that look alike.
 */
export function joinLocks(
  lines: readonly ProcLock[],
  descriptors: readonly LockedDescriptor[],
  group: GroupDescriptors = () => undefined,
): JoinedLocks {
  const locks: JoinedLock[] = [];
  const waiters: JoinedWaiter[] = [];
  const alike = new Map<string, LookAlikes>();
  let head: ProcLock | undefined;
  let headLock: JoinedLock | undefined;

  for (const line of lines) {
    if (line.blocked) {
      const known = head?.id === line.id;
      waiters.push({
        line,
        // Replaced below by those that really are in the way.
        blockers: known ? [headLock!] : [],
        head: known ? head : undefined,
      });
      continue;
    }
    const lock = { line, listed: true, descriptors: NO_DESCRIPTORS };
    locks.push(lock);
    head = line;
    headLock = lock;
    lookAlikesOf(line, alike).locks.push(lock);
  }

  for (const { pid, fd, locks: carried } of descriptors) {
    const ref: DescriptorRef = { pid, fd };
    for (const line of carried) {
      const { refs } = lookAlikesOf(line, alike);
      // One description can't hold two that look alike.
      if (refs.at(-1) !== ref) refs.push(ref);
    }
  }
  for (const { locks: listed, line, refs } of alike.values()) {
    if (refs.length === 0) continue;
    if (listed.length === 1) {
      listed[0]!.descriptors = refs;
    } else if (listed.length === 0) {
      for (const descriptors of groupOrAll(refs, group)) {
        locks.push({ line, listed: false, descriptors });
      }
    } else {
      assignGroups(listed, refs, group(refs));
    }
  }

  if (waiters.length > 0) findBlockers(locks, waiters);
  return { locks, waiters };
}

const NO_DESCRIPTORS: DescriptorRef[] = [];

/** Locks that differ in nothing the kernel tells, and who carries them. */
interface LookAlikes {
  line: ProcLock;
  locks: JoinedLock[];
  refs: DescriptorRef[];
}

function lookAlikesOf(
  line: ProcLock,
  alike: Map<string, LookAlikes>,
): LookAlikes {
  const identity = lockIdentity(line);
  let known = alike.get(identity);
  if (known === undefined) {
    known = { line, locks: [], refs: [] };
    alike.set(identity, known);
  }
  return known;
}

/** One group of all when they can't be told apart. */
function groupOrAll(
  refs: DescriptorRef[],
  group: GroupDescriptors,
): DescriptorRef[][] {
  return refs.length === 1 ? [refs] : group(refs) ?? [refs];
}

/** Shares descriptors out among locks that look alike. */
function assignGroups(
  candidates: readonly JoinedLock[],
  refs: DescriptorRef[],
  groups: DescriptorRef[][] | undefined,
): void {
  if (groups === undefined) {
    // All that is known is that each lock has its holders among these.
    for (const lock of candidates) lock.descriptors = refs;
    return;
  }
  for (const [index, descriptors] of groups.entries()) {
    const lock = candidates[Math.min(index, candidates.length - 1)]!;
    lock.descriptors = [...lock.descriptors, ...descriptors];
  }
}

/** What a lock's line has in common in /proc/locks and in fdinfo. */
function lockIdentity(lock: ProcLock): string {
  const { type, access, pid, device, inode, startByte, endByte } = lock;
  const file = device === undefined ? "-" : `${device.major}:${device.minor}`;
  return `${type} ${access} ${pid} ${file} ${inode} ${startByte} ${
    endByte ?? "EOF"
  }`;
}

/** Whether two lines are about the same lock, or ones that look alike. */
export function isSameLock(a: ProcLock, b: ProcLock): boolean {
  return lockIdentity(a) === lockIdentity(b);
}

function addTo<Key, Value>(
  map: Map<Key, Value[]>,
  key: Key,
  value: Value,
): void {
  const values = map.get(key);
  if (values === undefined) map.set(key, [value]);
  else values.push(value);
}

function findBlockers(
  locks: readonly JoinedLock[],
  waiters: readonly JoinedWaiter[],
): void {
  const byFile = new Map<string, JoinedLock[]>();
  const wanted = new Set<string>();
  for (const { line, head } of waiters) {
    wanted.add(fileIdentity(line.device === undefined ? head ?? line : line));
  }
  for (const lock of locks) {
    const file = fileIdentity(lock.line);
    if (wanted.has(file)) addTo(byFile, file, lock);
  }
  for (const waiter of waiters) {
    const { line, head } = waiter;
    const file = line.device === undefined ? head ?? line : line;
    const blockers = (byFile.get(fileIdentity(file)) ?? [])
      .filter((lock) => blocksWaiter(lock.line, line));
    // The head may be of a reading torn between two pages; it is better
    // than nothing.
    if (blockers.length > 0) waiter.blockers = blockers;
  }
}

function fileIdentity({ device, inode }: ProcLock): string {
  return device === undefined
    ? "-"
    : `${device.major}:${device.minor}:${inode}`;
}

/** Kinds that exclude each other; see flock(2), fcntl(2). */
function family(type: string): string {
  switch (type) {
    case "POSIX":
    case "OFDLCK":
    case "ACCESS":
      return "fcntl";
    case "LEASE":
    case "DELEG":
      return "lease";
  }
  return type;
}

/** Whether a held lock keeps a wish from being fulfilled. */
function blocksWaiter(held: ProcLock, wish: ProcLock): boolean {
  const kind = family(held.type);
  if (kind !== family(wish.type)) return false;
  // A breaker's line doesn't say what it wants to do to the file.
  if (kind === "lease") return held.access !== "NONE";
  if (held.access === "READ" && wish.access === "READ") return false;
  if (kind !== "fcntl") return true;
  if (held.type === "POSIX" && wish.type === "POSIX" && held.pid === wish.pid) {
    return held.pid <= 0;
  }
  return held.startByte <= (wish.endByte ?? held.startByte) &&
    wish.startByte <= (held.endByte ?? wish.startByte);
}
