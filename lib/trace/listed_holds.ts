import type { ProcLock } from "../proc/proc_locks.ts";
import {
  FL,
  LOCK_TYPE,
  type LockLine,
  type TraceEvent,
} from "../proc/trace/trace_event.ts";
import { fileKey, type TracedMode, type TracedType } from "./activity.ts";
import type { FileBook, KnownFile } from "./files.ts";
import type { ByteSpan, Hold } from "./holds.ts";

/** A lock as /proc/locks lists it. */
export interface ListedLock extends ByteSpan {
  /** The kind of lock. */
  type: TracedType;
  /** Shared or exclusive. */
  mode: TracedMode;
  /** Who took it; -1 when that isn't told. */
  pid: number;
}

/** The locks of a listing that nothing is known of yet. */
export interface Listing {
  /** Takes the line of a lock out; false when there is none. */
  take(hold: Hold): boolean;
  /** Those that were not taken out. */
  rest(): Iterable<{ file: KnownFile; lock: ListedLock }>;
}

/**
 * Sorts the held locks of /proc/locks by file.
 *
 * @param meanwhile The events while they were read: what these take is not to
 * be told twice.
 */
export function listedHolds(
  locks: readonly ProcLock[],
  files: FileBook,
  meanwhile: readonly TraceEvent[] = [],
): Listing {
  const byFile = new Map<KnownFile, ListedLock[]>();
  for (const lock of locks) {
    const { device, inode, startByte, endByte, pid, blocked } = lock;
    const type = readLockType(lock.type);
    if (blocked || device === undefined || type === undefined) continue;
    const mode = lock.access === "READ" ? "READ" : "WRITE";
    const file = files.find(device.major, device.minor, inode);
    const listed = byFile.get(file) ?? [];
    byFile.set(file, listed);
    listed.push({ type, mode, pid, startByte, endByte });
  }
  const taken = new Set<string>();
  for (const event of meanwhile) {
    if (event.event !== "flock" && event.event !== "posix") continue;
    if (event.type === LOCK_TYPE.UNLOCK || event.result !== 0) continue;
    const { device, inodeLow, inodeHigh, processId: pid } = event;
    const file = files.get(device, inodeLow, inodeHigh);
    taken.add(takingKey(file, { type: typeOf(event), pid }));
  }
  return {
    take(hold) {
      const listed = byFile.get(hold.file);
      if (listed === undefined) return false;
      let at = listed.findIndex((lock) =>
        isLike(lock, hold) && lock.pid === hold.takerPid
      );
      // OFD locks are listed without a process.
      if (at < 0) {
        at = listed.findIndex((lock) => isLike(lock, hold) && lock.pid <= 0);
      }
      if (at < 0) return false;
      listed.splice(at, 1);
      return true;
    },
    *rest() {
      for (const [file, listed] of byFile) {
        for (const lock of listed) {
          if (!taken.has(takingKey(file, lock))) yield { file, lock };
        }
      }
    },
  };
}

/** The kind of lock of a line; `undefined` for one that is not followed. */
export function readLockType(word: string): TracedType | undefined {
  return word === "FLOCK" || word === "POSIX" || word === "OFDLCK" ||
      word === "LEASE"
    ? word
    : undefined;
}

/** The kind of lock of an event. */
export function typeOf({ event, flags }: LockLine): TracedType {
  if (event === "flock") return "FLOCK";
  return (flags & FL.OFDLCK) !== 0 ? "OFDLCK" : "POSIX";
}

/** Of OFD locks, /proc/locks doesn't tell whose they are. */
function takingKey(
  file: KnownFile,
  { type, pid }: { type: TracedType; pid: number },
): string {
  return `${fileKey(file)} ${type} ${type === "OFDLCK" ? "" : pid}`;
}

function isLike(lock: ListedLock, hold: Hold): boolean {
  return lock.type === hold.type && lock.mode === hold.mode &&
    lock.startByte === hold.startByte && lock.endByte === hold.endByte;
}
