/**
 * Who holds a lock, and who waits for it.
 *
 * @module
 */

import type { ProcLock } from "../proc/proc_locks.ts";
import { CMDLINE_UNAVAILABLE } from "../proc/cmdline.ts";
import { ProcParseError } from "../proc/error.ts";
import { EACCES, ENOENT, ENOTDIR, EPERM } from "../sys/errno.ts";
import { LockError, SyscallError } from "../sys/error.ts";
import {
  readCommandLine,
  readStartTimeMs,
  readUser,
} from "../sys/process/process.ts";
import { findBlockedOfdCalls, waiterPid } from "./blocked_call.ts";
import type { LockedDescriptor } from "./descriptor_scan.ts";
import type { PathLike } from "../lock/lock_path.ts";
import { type HolderSource, processesHolding } from "./lock_holders.ts";
import { type JoinedLock, joinLocks } from "./lock_join.ts";
import {
  type LockViews,
  readLockViews,
  withoutReleased,
} from "./lock_views.ts";
import { formatNeedle, type Needle, needleFromPath } from "./needle.ts";

/** A process that holds a lock, or waits for one. */
export interface HolderInfo {
  /** Its process id here; `undefined` when the kernel doesn't tell. */
  pid: number | undefined;
  /** Its command line, printable, at most 100 characters and `…`. */
  command: string;
  /** The user it runs as. */
  user: string | undefined;
  /** When it started, in milliseconds since 1970. */
  startTimeMs: number | undefined;
  /** The kind of lock: `FLOCK`, `POSIX`, `OFDLCK`, `LEASE` and so on. */
  type: string;
  /** `READ` (shared), `WRITE` (exclusive) and so on. */
  mode: string;
  /** First byte of the range. */
  startByte: bigint;
  /** Last byte of the range; `undefined` for the largest possible offset. */
  endByte: bigint | undefined;
  /** How it is known; empty for a waiter. */
  sources: readonly HolderSource[];
}

/** Everyone who has to do with the locks of one file. */
export interface LockParties {
  /** Those that hold a lock. */
  holders: HolderInfo[];
  /** Those asleep in the kernel until they can. */
  waiters: HolderInfo[];
  /** Processes that may hold it too, but may not be looked into. */
  unreadablePids: readonly number[];
}

/** What {@linkcode formatHolderList} says of an empty list. */
export const NO_HOLDERS_RECORDED = "(no holders recorded)";

/**
 * The processes that hold a lock on a file.
 *
 * A taker that has died or has closed the file is left out when the processes
 * that share its descriptor are seen.
 *
 * Permissions: `--allow-ffi`; processes of other users need root. See
 * proc_locks(5), proc_pid_fdinfo(5).
 *
 * @param path The file; it is neither created nor opened for access.
 * @returns The holders, by pid; none when there is no such file.
 * @throws {SyscallError} when the path or /proc can't be read.
 *
 * @example
 * ```ts
 * import { formatHolderList, readHolders } from "@holdfast/holdfast";
 *
 * console.log(formatHolderList(readHolders("/tmp/holdfast-example.lock")));
 * ```
 */
export function readHolders(path: PathLike): HolderInfo[] {
  return readLockParties(path).holders;
}

/**
 * The same for an error about something else, such as a timeout: none where
 * /proc isn't there, hides what is needed or can't be understood.
 */
export function readHoldersIfAny(path: string): HolderInfo[] {
  return ifKnown(() => readHolders(path)) ?? [];
}

/** What is read from /proc; `undefined` where that fails. */
export function ifKnown<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof LockError || error instanceof ProcParseError) {
      return undefined;
    }
    throw error;
  }
}

/**
 * Why /proc tells nothing, where it isn't mounted, belongs to other processes
 * or may not be read.
 *
 * @returns A clause; `undefined` when the error is about something else.
 */
export function whyProcIsSilent(error: unknown): string | undefined {
  const isProc = error instanceof SyscallError && error.syscall === "open" &&
    PROC_FILE.test(error.path ?? "") &&
    [EACCES, ENOENT, ENOTDIR, EPERM].includes(error.errno);
  return isProc
    ? "/proc, which tells of flocks, can't be read here"
    : undefined;
}

/** What is read before anything else. */
const PROC_FILE = /^\/proc\/(locks|self\/(fdinfo\/\d+|mountinfo))$/;

/**
 * The holders and waiters of a file's locks.
 *
 * Permissions and errors as for {@linkcode readHolders}.
 *
 * @param path The file.
 */
export function readLockParties(path: PathLike): LockParties {
  const needle = needleFromPath(path);
  if (needle === undefined) {
    return { holders: [], waiters: [], unreadablePids: [] };
  }
  return readLockPartiesForNeedles([needle])[0]!;
}

/**
 * The processes that hold a lock on the file with a needle.
 *
 * Permissions and errors as for {@linkcode readHolders}.
 *
 * @param needle The key from `needleFromPath` or `needleFromFd`.
 */
export function readHoldersForNeedle(needle: Needle): HolderInfo[] {
  return readLockPartiesForNeedles([needle])[0]!.holders;
}

/**
 * The holders and waiters of many files, with one read of /proc/locks and one
 * pass over the descriptors.
 *
 * Permissions and errors as for {@linkcode readHolders}.
 *
 * @param needles The files.
 * @returns One entry a needle, in the same order.
 */
export function readLockPartiesForNeedles(
  needles: readonly Needle[],
): LockParties[] {
  const views = readLockViews();
  const unreadablePids = [...views.unreadable];
  const descriptorsByKey = descriptorsByFile(views.descriptors);
  const linesByKey = Map.groupBy(views.lines, lockKey);
  const describe = memoizedDescription();
  return needles.map((needle) => {
    const key = formatNeedle(needle);
    const lines = linesByKey.get(key) ?? [];
    const waiters = lines.filter((line) => line.blocked);
    const ofdCalls = findBlockedOfdCalls(waiters);
    const { locks } = joinLocks(lines, descriptorsByKey.get(key) ?? []);
    return {
      holders: describeHolders(withoutReleased(locks), views, describe),
      waiters: waiters.map((line) =>
        describe(waiterPid(line, ofdCalls), line, [])
      ),
      unreadablePids,
    };
  });
}

function lockKey({ device, inode }: ProcLock): string | undefined {
  return device && formatNeedle({ ...device, inode });
}

/** The descriptors of each file, each with its locks on that file only. */
function descriptorsByFile(
  descriptors: readonly LockedDescriptor[],
): Map<string | undefined, LockedDescriptor[]> {
  const byKey = new Map<string | undefined, LockedDescriptor[]>();
  for (const descriptor of descriptors) {
    // All locks of an open file description are on its one file.
    const [lock] = descriptor.locks;
    if (lock === undefined) continue;
    const key = lockKey(lock);
    const known = byKey.get(key);
    if (known === undefined) byKey.set(key, [descriptor]);
    else known.push(descriptor);
  }
  return byKey;
}

type Describe = (
  pid: number | undefined,
  lock: ProcLock,
  sources: readonly HolderSource[],
) => HolderInfo;

/** Each process once a kind of lock, however many look alike. */
function describeHolders(
  locks: readonly JoinedLock[],
  { unreadable }: LockViews,
  describe: Describe,
): HolderInfo[] {
  const holders = new Map<string, HolderInfo>();
  for (const lock of locks) {
    for (const { pid, sources } of processesHolding(lock, unreadable)) {
      const { type, access, startByte, endByte } = lock.line;
      const id = `${pid} ${type} ${access} ${startByte} ${endByte}`;
      if (!holders.has(id)) {
        holders.set(id, describe(pid, lock.line, sources));
      }
    }
  }
  return [...holders.values()].sort((a, b) => (a.pid ?? 0) - (b.pid ?? 0));
}

function memoizedDescription(): Describe {
  const processes = new Map<
    number,
    Pick<HolderInfo, "command" | "user" | "startTimeMs">
  >();
  return (pid, lock, sources) => {
    let process = pid === undefined ? UNKNOWN_PROCESS : processes.get(pid);
    if (process === undefined) {
      process = {
        command: readCommandLine(pid!),
        user: readUser(pid!),
        startTimeMs: readStartTimeMs(pid!),
      };
      processes.set(pid!, process);
    }
    const { type, access: mode, startByte, endByte } = lock;
    return { pid, ...process, type, mode, startByte, endByte, sources };
  };
}

const UNKNOWN_PROCESS = {
  command: CMDLINE_UNAVAILABLE,
  user: undefined,
  startTimeMs: undefined,
};

/**
 * The holders as text, one indented `pid=N cmd=…` line each.
 *
 * @param holders From {@linkcode readHolders}.
 * @returns The lines, or {@linkcode NO_HOLDERS_RECORDED} for none.
 */
export function formatHolderList(holders: readonly HolderInfo[]): string {
  if (holders.length === 0) return `  ${NO_HOLDERS_RECORDED}`;
  return holders.map((holder) => `  ${formatHolder(holder)}`).join("\n");
}

/** One holder or waiter as text: `pid=N cmd=…`. */
export function formatHolder(holder: HolderInfo): string {
  return `pid=${holder.pid ?? "?"} cmd=${holder.command}`;
}
