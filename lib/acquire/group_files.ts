/**
 * The files of a group of locks, each once, in the order in which everybody
 * takes them.
 *
 * @module
 */

import type { LockMode } from "../lock/flock/flock.ts";
import type { HeldLock } from "../lock/held_lock.ts";
import type { OpenedLockFile } from "../lock/lock_file.ts";
import {
  isLockUrl,
  type LockPath,
  type LockUrl,
  type PathLike,
} from "../lock/lock_path.ts";
import { fileOrder } from "../lock/lock_set.ts";
import {
  type ByteSpan,
  joinSpans,
  spanCovers,
  spansOverlap,
  spanToRange,
} from "../lock/record/byte_span.ts";
import type { ByteRange, RecordLockKind } from "../lock/record/record_lock.ts";
import { quotePath } from "../proc/printable.ts";
import type { WaitableAttempt } from "../wait/lock_wake.ts";
import type { LinkLockOptions } from "../lock/link/link_lock.ts";
import type { LockWaitOptions } from "./budget.ts";
import type { LockKind } from "./kind_options.ts";
import { flockAttempt } from "./flock_attempt.ts";

/**
 * A lock of a group on a whole file. A file that is locked by flock and by
 * fcntl has two locks, which don't see each other.
 */
export interface FileMember {
  /** The lock file; created if need be. */
  path: PathLike;
  /** flock(2), or `both`, flock and an OFD lock; that of the group unless set. */
  kind?: "flock" | "both" | undefined;
  /** Shared or exclusive; that of the group unless set. */
  mode?: LockMode | undefined;
}

/** A lock of a group on a range of bytes, by fcntl(2). */
export interface RangeMember {
  /** The file; created if need be. */
  path: PathLike;
  /** Whose lock it is: of the open file or of this process. */
  kind: RecordLockKind;
  /** Shared or exclusive; that of the group unless set. */
  mode?: LockMode | undefined;
  /** The bytes; all of them unless set. */
  range?: ByteRange | undefined;
}

/** A link lock of a group. */
export interface LinkMember extends LinkLockOptions {
  /** The lock. */
  path: PathLike;
  /** A link lock. */
  kind: "link";
}

/** One lock of a group. */
export type GroupMember = FileMember | RangeMember | LinkMember;

/** The URL of a member that is in an engine. */
export function engineUrlOf(
  member: GroupMember | PathLike,
): LockUrl | undefined {
  if (isLockUrl(member)) return member;
  const path = (member as Partial<GroupMember> | null | undefined)?.path;
  return isLockUrl(path) ? path : undefined;
}

/** The kinds of lock that open files have. */
export type FileLockKind = Exclude<LockKind, "link">;

/** A member whose path means one file, and which is locked by the kernel. */
export interface NamedMember {
  /** That file. */
  path: LockPath;
  kind: FileLockKind;
  mode: LockMode;
  range?: ByteRange | undefined;
}

/** A held lock whose file can be examined. */
export interface MemberLock extends HeldLock {
  /** The descriptor that carries it. */
  readonly fd: number;
}

/** A lock of any kind on its way to being taken. */
interface MemberAttempt extends WaitableAttempt<MemberLock>, Disposable {
  /** The file that it locks, whatever its name means by then. */
  readonly file: OpenedLockFile;
  /** The bytes that it locks, where these aren't all. */
  readonly span?: ByteSpan;
}

/** One file of a group, or some bytes of it. */
export interface GroupFile {
  /** What its members call it. */
  names: [LockPath, ...LockPath[]];
  /** The places of those members. */
  indexes: number[];
  kind: FileLockKind;
  mode: LockMode;
  attempt: MemberAttempt;
}

/** Opens a member's file. */
export type OpenMember = (member: NamedMember) => MemberAttempt;

/** How members are opened; record locks are loaded only when there are any. */
export async function memberOpener(
  members: readonly NamedMember[],
  { createParents, allowRemote }: LockWaitOptions,
): Promise<OpenMember> {
  // Pinned: a file that takes the place of another stands elsewhere in the
  // order, and must not be waited for while later ones are held.
  const checked = { createParents, allowRemote, pinned: true };
  const openFlock: OpenMember = ({ path, mode }) =>
    flockAttempt(path, { mode, ...checked });
  if (members.every(({ kind }) => kind === "flock")) return openFlock;
  const { bothLockAttempt, waitableRecordLock } = await import("./record.ts");
  return (member) => {
    const { path, mode, range, kind } = member;
    if (kind === "flock") return openFlock(member);
    return kind === "both"
      ? bothLockAttempt(path, { mode, ...checked })
      : waitableRecordLock(path, { kind, mode, range, ...checked });
  };
}

/**
 * Opens the files of a group.
 *
 * @returns Each lock once, in order; `undefined` when a name has come to mean
 * another file meanwhile.
 * @throws {RangeError} when a file is to be locked in two ways that exclude
 * each other.
 */
export function openInOrder(
  members: readonly NamedMember[],
  open: OpenMember,
): GroupFile[] | undefined {
  const files: GroupFile[] = [];
  for (const [index, member] of members.entries()) {
    const { path, mode, kind } = member;
    let file: GroupFile = {
      names: [path],
      indexes: [index],
      kind,
      mode,
      attempt: open(member),
    };
    for (;;) {
      const place = files.findIndex((other) => isSameLock(other, file));
      if (place < 0) break;
      const [known] = files.splice(place, 1);
      const joined = joinFiles(known!, file, open);
      if (fileOf(joined) !== fileOf(file)) return undefined;
      file = joined;
    }
    files.push(file);
  }
  return files.map((file) => ({ file, order: lockOrder(file) }))
    .sort((a, b) => a.order < b.order ? -1 : 1)
    .map(({ file }) => file);
}

function fileOf({ attempt }: GroupFile): string {
  return fileOrder(attempt.file.stat);
}

/** Digits that an offset of 63 bits may have. */
const OFFSET_DIGITS = 19;

/**
 * By file, and on one file flock before record locks. These are ordered by
 * where they start alone: POSIX and OFD locks exclude each other.
 */
function lockOrder(file: GroupFile): string {
  const isRecord = file.kind === "posix" || file.kind === "ofd";
  const { startByte } = spanOf(file);
  const start = String(startByte).padStart(OFFSET_DIGITS, "0");
  return `${fileOf(file)} ${isRecord ? 1 : 0} ${start}`;
}

const WHOLE_FILE: ByteSpan = { startByte: 0n, endByte: undefined };

function spanOf({ attempt }: GroupFile): ByteSpan {
  return attempt.span ?? WHOLE_FILE;
}

/**
 * Whether two locks would exclude each other, so that they must be one.
 *
 * @throws {RangeError} when they can't be.
 */
function isSameLock(a: GroupFile, b: GroupFile): boolean {
  if (fileOf(a) !== fileOf(b) || !spansOverlap(spanOf(a), spanOf(b))) {
    return false;
  }
  if (a.kind === b.kind) return true;
  const kinds = [a.kind, b.kind];
  if (!kinds.includes("posix")) return kinds.includes("both");
  if (kinds.includes("flock")) return false;
  throw new RangeError(
    `Cannot lock ${
      quotePath(a.names[0].given)
    } as ${a.kind} and as ${b.kind}: ` +
      "such locks exclude each other",
  );
}

/** Both as one lock, on behalf of all their members. */
function joinFiles(a: GroupFile, b: GroupFile, open: OpenMember): GroupFile {
  const known = [a, b].find((file) => covers(file, a) && covers(file, b));
  const kind = a.kind === b.kind ? a.kind : "both";
  const range = kind === "posix" || kind === "ofd"
    ? spanToRange(joinSpans(spanOf(a), spanOf(b)))
    : undefined;
  const mode = a.mode === b.mode ? a.mode : "exclusive";
  const [path] = a.names;
  return {
    names: [...a.names, ...b.names],
    indexes: [...a.indexes, ...b.indexes],
    kind,
    mode,
    attempt: known?.attempt ?? open({ path, kind, mode, range }),
  };
}

function covers(a: GroupFile, b: GroupFile): boolean {
  return (a.kind === b.kind || a.kind === "both") &&
    (a.mode === "exclusive" || b.mode === "shared") &&
    spanCovers(spanOf(a), spanOf(b));
}
