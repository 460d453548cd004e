import type { ProcLock } from "../proc/proc_locks.ts";
import type { TracedMode, TracedType } from "./activity.ts";
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

/** Sorts the held locks of /proc/locks by file. */
export function listedHolds(
  locks: readonly ProcLock[],
  files: FileBook,
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
        for (const lock of listed) yield { file, lock };
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

function isLike(lock: ListedLock, hold: Hold): boolean {
  return lock.type === hold.type && lock.mode === hold.mode &&
    lock.startByte === hold.startByte && lock.endByte === hold.endByte;
}
