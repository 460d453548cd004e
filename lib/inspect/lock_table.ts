/**
 * Every lock of this machine that can be seen.
 *
 * @module
 */

import { parseFdinfo } from "../proc/fdinfo.ts";
import { type MountInfo, parseMountinfo } from "../proc/mountinfo.ts";
import type { ProcLock } from "../proc/proc_locks.ts";
import { readText, readTextIfAny } from "../sys/file.ts";
import { listDirectory } from "../sys/list_directory.ts";
import {
  describeProcess,
  type ProcessInfo,
  readAncestors,
} from "../sys/process/process_info.ts";
import { compareOpenFiles } from "../sys/same_open_file.ts";
import {
  type BlockedCall,
  findBlockedOfdCalls,
  waiterPid,
} from "./blocked_call.ts";
import {
  type HolderSource,
  type LockHolderRef,
  processesHolding,
} from "./lock_holders.ts";
import {
  type DescriptorRef,
  type JoinedLock,
  type JoinedLocks,
  type JoinedWaiter,
  joinLocks,
} from "./lock_join.ts";
import {
  FileNamer,
  type LockedFile,
  mountsByDevice,
  UNNAMED_FILE,
} from "./locked_path.ts";
import { readLockViews, withoutReleased } from "./lock_views.ts";

/** A process that holds a lock. */
export interface TableHolder {
  /** The process; `undefined` when the kernel doesn't tell which. */
  process: ProcessInfo | undefined;
  /** The descriptors it holds the lock through, if they can be read. */
  fds: number[];
  /** How it is known. */
  sources: readonly HolderSource[];
}

/** What a held lock and a wish for one have in common. */
export interface TableRange {
  /** `FLOCK`, `POSIX`, `OFDLCK`, `LEASE`, `DELEG`, or the kernel's own word. */
  type: string;
  /** `ADVISORY`; for leases `ACTIVE`, `BREAKING` or `BREAKER`. */
  enforcement: string;
  /** `READ` (shared) or `WRITE` (exclusive); leases know others. */
  mode: string;
  /** First byte of the range. */
  startByte: bigint;
  /** Last byte of the range; `undefined` for the largest possible offset. */
  endByte: bigint | undefined;
  /** The file it is on. */
  file: LockedFile;
}

/** A lock that is held. */
export interface TableLock extends TableRange {
  /** Its place in the table, from 0. */
  id: number;
  /**
   * The pid of the process that took it, which may be dead or another's by
   * now; `undefined` for OFD locks and where the kernel hides it.
   */
  takerPid: number | undefined;
  /** The processes that hold it, by pid. */
  holders: TableHolder[];
  /** Whether /proc/locks lists it; else only the descriptors show it. */
  listed: boolean;
}

/** Somebody asleep in the kernel until a lock is free. */
export interface TableWaiter extends TableRange {
  /** Its place among the waiters, from 0. */
  id: number;
  /** The process; `undefined` when it can't be found out. */
  process: ProcessInfo | undefined;
  /** The pids of its parent, its parent's parent, and so on. */
  ancestors: number[];
  /** The locks that stand in its way. */
  blockers: TableLock[];
}

/** All locks of one reading. */
export interface LockTable {
  /** When it was read, in milliseconds since 1970. */
  readAtMs: number;
  /** The locks that are held. */
  locks: TableLock[];
  /** Those who wait for one. */
  waiters: TableWaiter[];
  /** Processes whose descriptors may not be read: locks may lack holders. */
  unreadablePids: readonly number[];
  /** Locked files whose path could not be found. */
  unnamedFiles: number;
  /** Lines of the kernel that could not be understood. */
  unparsedLines: number;
}

/**
 * Reads every lock that this process may see: /proc/locks, joined with the
 * descriptors of all processes in one pass. Nothing is locked or created.
 *
 * A lock is found although /proc/locks hides it (taken in another pid
 * namespace), and its holders although the process that took it is gone. Locks
 * come and go meanwhile; a lock that is gone by the end may be in the table.
 *
 * Permissions: `--allow-ffi`; other users' processes need root, and are
 * counted where they can't be looked into. See proc_locks(5),
 * proc_pid_fdinfo(5).
 *
 * @returns The locks in the kernel's order, and who waits for them.
 * @throws {SyscallError} when /proc can't be read.
 *
 * @example
 * ```ts
 * import { readLockTable } from "@holdfast/holdfast/inspect";
 *
 * for (const { type, mode, file, holders } of readLockTable().locks) {
 *   console.log(type, mode, file.path, holders.map((h) => h.process?.pid));
 * }
 * ```
 */
export function readLockTable(): LockTable {
  const readAtMs = Date.now();
  const { joined, unreadable, unparsedLines } = readJoinedLocks();
  const builder = new TableBuilder(unreadable);
  const table: LockTable = {
    readAtMs,
    locks: [],
    waiters: [],
    unreadablePids: [...unreadable],
    unnamedFiles: 0,
    unparsedLines,
  };
  const byJoined = new Map<JoinedLock, TableLock>();
  for (const lock of joined.locks) {
    const made = builder.lock(lock, table.locks.length);
    table.locks.push(made);
    if (joined.waiters.length > 0) byJoined.set(lock, made);
  }
  const ofdCalls = findBlockedOfdCalls(joined.waiters.map(({ line }) => line));
  for (const waiter of joined.waiters) {
    const blockers = waiter.blockers
      .map((lock) => byJoined.get(lock))
      .filter((lock) => lock !== undefined);
    const id = table.waiters.length;
    table.waiters.push(builder.waiter(waiter, id, blockers, ofdCalls));
  }
  table.unnamedFiles = builder.countUnnamed();
  return table;
}

interface ReadLocks {
  joined: JoinedLocks;
  unreadable: ReadonlySet<number>;
  unparsedLines: number;
}

/** When this returns, megabytes of what it has read are garbage. */
function readJoinedLocks(): ReadLocks {
  const { lines, descriptors, unreadable, unparsedLines } = readLockViews();
  const joined = joinLocks(lines, descriptors, groupByOpenFile);
  joined.locks = withoutReleased(joined.locks);
  return { joined, unreadable, unparsedLines };
}

/** Groups descriptors by open file description, as far as kcmp(2) tells. */
function groupByOpenFile(
  refs: readonly DescriptorRef[],
): DescriptorRef[][] | undefined {
  let known = true;
  const sorted = refs.toSorted((a, b) => {
    const order = known ? compareOpenFiles(a, b) : undefined;
    if (order === undefined) known = false;
    return order ?? 0;
  });
  if (!known) return undefined;
  const groups: DescriptorRef[][] = [];
  for (const ref of sorted) {
    const last = groups.at(-1);
    if (last !== undefined && compareOpenFiles(last[0]!, ref) === 0) {
      last.push(ref);
    } else {
      groups.push([ref]);
    }
  }
  return groups;
}

/** Makes table entries that share what is known of files and processes. */
class TableBuilder {
  readonly #unreadable: ReadonlySet<number>;
  readonly #mounts: MountInfo[];
  readonly #mountsByDevice: Map<string, MountInfo>;
  readonly #namer = new FileNamer();
  readonly #files = new Map<string, LockedFile>();
  readonly #processes = new Map<number, ProcessInfo>();

  constructor(unreadable: ReadonlySet<number>) {
    this.#unreadable = unreadable;
    this.#mounts = parseMountinfo(readText("/proc/self/mountinfo"), {
      onError: () => {},
    });
    this.#mountsByDevice = mountsByDevice(this.#mounts);
  }

  lock(joined: JoinedLock, id: number): TableLock {
    const { line, listed } = joined;
    const holders = processesHolding(joined, this.#unreadable);
    return {
      id,
      ...this.#range(line, line, joined.descriptors),
      takerPid: line.pid > 0 ? line.pid : undefined,
      holders: holders.map((holder) => this.#holder(holder)),
      listed,
    };
  }

  waiter(
    { line, head }: JoinedWaiter,
    id: number,
    blockers: TableLock[],
    ofdCalls: BlockedCall[],
  ): TableWaiter {
    const fileLine = line.device === undefined ? head ?? line : line;
    const pid = waiterPid(line, ofdCalls);
    const range = this.#range(line, fileLine, []);
    if (range.file.path === undefined && pid !== undefined) {
      this.#nameByWaiter(range.file, pid);
    }
    const process = pid === undefined ? undefined : this.#process(pid);
    const ancestors = pid === undefined ? [] : readAncestors(pid);
    return { id, ...range, process, ancestors, blockers };
  }

  countUnnamed(): number {
    let count = 0;
    for (const { path } of this.#files.values()) {
      if (path === undefined) count++;
    }
    return count;
  }

  #holder({ pid, fds, sources }: LockHolderRef): TableHolder {
    const process = pid === undefined ? undefined : this.#process(pid);
    return { process, fds, sources };
  }

  #process(pid: number): ProcessInfo {
    let process = this.#processes.get(pid);
    if (process === undefined) {
      process = describeProcess(pid);
      this.#processes.set(pid, process);
    }
    return process;
  }

  #range(
    line: ProcLock,
    fileLine: ProcLock,
    descriptors: readonly DescriptorRef[],
  ): TableRange {
    const { type, enforcement, access: mode, startByte, endByte } = line;
    const file = this.#file(fileLine, descriptors);
    return { type, enforcement, mode, startByte, endByte, file };
  }

  #file(
    { device, inode }: ProcLock,
    descriptors: readonly DescriptorRef[],
  ): LockedFile {
    const deviceKey = device === undefined
      ? "-"
      : `${device.major}:${device.minor}`;
    const key = `${deviceKey}:${inode}`;
    let file = this.#files.get(key);
    if (file === undefined) {
      const mount = this.#mountsByDevice.get(deviceKey);
      file = {
        major: device?.major,
        minor: device?.minor,
        inode,
        ...UNNAMED_FILE,
        fsType: mount?.fsType,
        mountPoint: mount?.mountPoint,
      };
      this.#files.set(key, file);
    }
    // A name that is good here beats one that only another holder sees.
    for (const ref of descriptors) {
      if (file.pathStatus === "here") break;
      const named = this.#namer.nameOf(ref, file);
      if (file.path === undefined || named.pathStatus === "here") {
        Object.assign(file, named);
      }
      // Holders of one description see one path.
      if (file.path !== undefined) break;
    }
    return file;
  }

  /** A waiter's own descriptor names the file that a stranger has locked. */
  #nameByWaiter(file: LockedFile, pid: number): void {
    const fds = listDirectory(`/proc/${pid}/fdinfo`);
    if (typeof fds === "number") return;
    for (const fd of fds) {
      const text = readTextIfAny(`/proc/${pid}/fdinfo/${fd}`);
      if (text === undefined || !text.includes(`ino:\t${file.inode}\n`)) {
        continue;
      }
      const { mountId } = parseFdinfo(text, { onError: () => {} });
      const mount = this.#mounts.find((mount) => mount.mountId === mountId);
      if (mount?.major === file.major && mount?.minor === file.minor) {
        Object.assign(file, this.#namer.nameOf({ pid, fd: Number(fd) }, file));
        return;
      }
    }
  }
}
