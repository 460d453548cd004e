/**
 * Rings of processes that wait for each other's POSIX locks.
 *
 * @module
 */

import { scanLockedDescriptors } from "../inspect/descriptor_scan.ts";
import { ifKnown } from "../inspect/holder.ts";
import { formatNeedle, needleFromPath } from "../inspect/needle.ts";
import type { LockMode } from "../lock/flock/flock.ts";
import { type ByteSpan, spansOverlap } from "../lock/record/byte_span.ts";
import { printable, quotePath } from "../proc/printable.ts";
import { parseProcLocks, type ProcLock } from "../proc/proc_locks.ts";
import type { LockPath } from "../lock/lock_path.ts";
import { EDEADLK } from "../sys/errno.ts";
import { LockError, SyscallError } from "../sys/error.ts";
import { readTextIfAny } from "../sys/file.ts";
import { readLink } from "../sys/storage/names.ts";
import { readCommandLine } from "../sys/process/process.ts";

/** One process of a ring, and the bytes that it waits for. */
export interface DeadlockStep extends ByteSpan {
  /** The process that waits, for the next one in the ring. */
  pid: number;
  /** Its command line, printable. */
  command: string;
  /** The file it waits for: its path, or its device and inode. */
  file: string;
}

/**
 * Waiting for a POSIX lock would have closed a ring of processes that wait for
 * each other: the kernel refused with EDEADLK.
 */
export class RecordDeadlockError extends LockError {
  /** The name of the class. */
  override name = "RecordDeadlockError";
  /** What was called. */
  readonly syscall = "fcntl";
  /** The name of the error number. */
  readonly code = "EDEADLK";
  /** The file this process asked for. */
  readonly path: string;
  /**
   * The ring, this process first; the last one waits for this process. Empty
   * when it had come apart before it could be read.
   */
  readonly cycle: readonly DeadlockStep[];

  /** Made by `blockRecordLock`. */
  constructor(path: string, cycle: readonly DeadlockStep[]) {
    const ring = cycle.map((step, index) => {
      const next = cycle[(index + 1) % cycle.length]!;
      const { startByte, endByte } = step;
      return `\n  pid=${step.pid} waits for bytes ${startByte}-` +
        `${endByte ?? "EOF"} of ${step.file}, held by pid=${next.pid} ` +
        `cmd=${next.command}`;
    });
    super(
      `Cannot wait for the lock on ${
        quotePath(path)
      }: fcntl returned EDEADLK ` +
        "(35), its holder waits for a lock of this process" +
        (ring.length === 0 ? "" : `;${ring.join("")}\n`) +
        `${ring.length === 0 ? "; " : ""}release that lock and try again`,
    );
    this.path = path;
    this.cycle = cycle;
  }
}

/**
 * Names the ring of a wait that the kernel refused with EDEADLK.
 *
 * @param error What the wait threw.
 * @param wanted The lock that was asked for.
 * @returns A `RecordDeadlockError`; any other error as it is.
 */
export function explainDeadlock(
  error: unknown,
  path: LockPath,
  wanted: { span: ByteSpan; mode: LockMode | undefined },
): unknown {
  if (!(error instanceof SyscallError) || error.errno !== EDEADLK) return error;
  const { span, mode = "exclusive" } = wanted;
  const cycle = readDeadlockCycle(path.absolute, span, mode);
  return new RecordDeadlockError(path.given, cycle);
}

/** A wish for a lock, as /proc/locks shows it or as it was refused. */
interface Wish extends ByteSpan {
  pid: number;
  key: string;
  mode: LockMode;
}

/**
 * Reads the ring that a refused wish would have closed.
 *
 * @returns The steps from this process on; none when there is no ring now.
 */
export function readDeadlockCycle(
  path: string,
  span: ByteSpan,
  mode: LockMode,
): DeadlockStep[] {
  const needle = ifKnown(() => needleFromPath(path));
  const text = readTextIfAny("/proc/locks");
  if (needle === undefined || text === undefined) return [];
  const lines = parseProcLocks(text, { onError: () => {} })
    .filter(({ type }) => type === "POSIX");
  const own = { ...span, pid: Deno.pid, key: formatNeedle(needle), mode };
  const cycle = findCycle(own, lines);
  const names = nameFiles(cycle, own.key, path);
  return cycle.map(({ pid, key, startByte, endByte }) => ({
    pid,
    command: readCommandLine(pid),
    file: names.get(key) ?? key,
    startByte,
    endByte,
  }));
}

/** The wishes of a ring, each for a lock of the next one's process. */
export function findCycle(own: Wish, lines: readonly ProcLock[]): Wish[] {
  const wishes = lines.filter(({ blocked }) => blocked).map(toWish);
  const seen = new Set<number>([own.pid]);
  const search = (wish: Wish): Wish[] | undefined => {
    for (const holder of lines) {
      if (!isBlocker(holder, wish)) continue;
      if (holder.pid === own.pid) return [wish];
      if (seen.has(holder.pid)) continue;
      seen.add(holder.pid);
      // Each thread of a process may wait for another lock.
      for (const next of wishes.filter(({ pid }) => pid === holder.pid)) {
        const rest = search(next);
        if (rest !== undefined) return [wish, ...rest];
      }
    }
    return undefined;
  };
  return search(own) ?? [];
}

function toWish(line: ProcLock): Wish {
  const { pid, startByte, endByte, access } = line;
  const mode = access === "READ" ? "shared" : "exclusive";
  return { pid, key: keyOf(line), mode, startByte, endByte };
}

function keyOf({ device, inode }: ProcLock): string {
  return device === undefined ? "" : formatNeedle({ ...device, inode });
}

function isBlocker(holder: ProcLock, wish: Wish): boolean {
  return !holder.blocked && holder.pid !== wish.pid &&
    keyOf(holder) === wish.key &&
    (wish.mode === "exclusive" || holder.access !== "READ") &&
    spansOverlap(holder, wish);
}

/** Paths of the files, from the descriptors through which they are locked. */
function nameFiles(
  cycle: readonly Wish[],
  ownKey: string,
  ownPath: string,
): Map<string, string> {
  const names = new Map([[ownKey, quotePath(ownPath)]]);
  const wanted = new Set(cycle.map(({ key }) => key));
  wanted.delete(ownKey);
  if (wanted.size === 0) return names;
  for (const { pid, fd, locks } of scanLockedDescriptors().descriptors) {
    const key = locks[0] && keyOf(locks[0]);
    if (key === undefined || !wanted.has(key) || names.has(key)) continue;
    const target = readLink(`/proc/${pid}/fd/${fd}`);
    if (target !== undefined) names.set(key, quotePath(printable(target)));
  }
  return names;
}
