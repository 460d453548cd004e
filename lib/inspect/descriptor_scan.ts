import { ProcParseError } from "../proc/error.ts";
import { parseFdinfo } from "../proc/fdinfo.ts";
import type { ProcLock } from "../proc/proc_locks.ts";
import { EACCES, EPERM, isGone } from "../sys/errno.ts";
import { SyscallError } from "../sys/error.ts";
import {
  closeFile,
  O_CLOEXEC,
  O_DIRECTORY,
  O_RDONLY,
  openFile,
  readNext,
  readToEnd,
} from "../sys/file.ts";
import { listDirectory } from "../sys/list_directory.ts";
import { openEntryAt } from "../sys/storage/names.ts";

/** A descriptor through which a process holds locks. */
export interface LockedDescriptor {
  /** The process that has it open. */
  pid: number;
  /** Its number there. */
  fd: number;
  /** The locks of its open file description; each names its file. */
  locks: ProcLock[];
}

/** What one pass over /proc/PID/fdinfo found. */
export interface DescriptorScan {
  /** Every descriptor seen that carries a lock. */
  descriptors: LockedDescriptor[];
  /** Processes whose descriptors could be read. */
  readable: Set<number>;
  /** Processes whose descriptors may not be read: another user's. */
  unreadable: Set<number>;
  /** Lines about locks that could not be understood. */
  unparsedLines: number;
}

/**
 * Reads the `lock:` lines of every descriptor of every process it may read, in
 * one pass.
 *
 * Permissions: `--allow-ffi`; as another user than root, only this user's
 * processes can be read. See proc_pid_fdinfo(5).
 *
 * @throws {SyscallError} when /proc can't be listed.
 */
export function scanLockedDescriptors(): DescriptorScan {
  return scanProcesses(listPids());
}

/** The same for one process; nothing of it when it may not be read. */
export function scanDescriptorsOf(pid: number): LockedDescriptor[] {
  return scanProcesses([pid]).descriptors;
}

function scanProcesses(pids: readonly number[]): DescriptorScan {
  const scan: DescriptorScan = {
    descriptors: [],
    readable: new Set(),
    unreadable: new Set(),
    unparsedLines: 0,
  };
  for (const pid of pids) scanProcess(pid, scan);
  return scan;
}

/**
 * The process ids in /proc.
 *
 * @throws {SyscallError} when /proc can't be listed.
 */
export function listPids(): number[] {
  const names = listDirectory("/proc");
  if (typeof names === "number") {
    throw new SyscallError("list processes in", {
      syscall: "open",
      errno: -names,
      path: "/proc",
      advice: "is /proc mounted here?",
    });
  }
  return names.filter((name) => /^\d+$/.test(name)).map(Number);
}

/**
 * The locks of one descriptor, read anew.
 *
 * @returns Its locks; none when it is closed or may not be read.
 */
export function readDescriptorLocks(pid: number, fd: number): ProcLock[] {
  const scan: DescriptorScan = {
    descriptors: [],
    readable: new Set(),
    unreadable: new Set(),
    unparsedLines: 0,
  };
  const directoryFd = openFdinfo(pid);
  if (directoryFd < 0) return [];
  try {
    scanDescriptor(directoryFd, pid, String(fd), scan);
  } finally {
    closeFile(directoryFd);
  }
  return scan.descriptors[0]?.locks ?? [];
}

function openFdinfo(pid: number): number {
  return openFile(
    `/proc/${pid}/fdinfo`,
    O_RDONLY | O_DIRECTORY | O_CLOEXEC,
  );
}

function scanProcess(pid: number, scan: DescriptorScan): void {
  const directoryFd = openFdinfo(pid);
  const names = directoryFd < 0
    ? directoryFd
    : listDirectory(`/proc/${pid}/fdinfo`);
  try {
    if (typeof names === "number") {
      if (!isGone(-names)) scan.unreadable.add(pid);
      return;
    }
    for (const name of names) {
      const errno = scanDescriptor(directoryFd, pid, name, scan);
      if (errno === EACCES || errno === EPERM) {
        // The directory may be listed although what is in it may not be read.
        scan.unreadable.add(pid);
        return;
      }
    }
    scan.readable.add(pid);
  } finally {
    if (directoryFd >= 0) closeFile(directoryFd);
  }
}

/* A server has a hundred thousand descriptors, nearly all without a lock: the
 * buffers are made once, and only what carries a lock is decoded. */
const LOCK_KEY = new TextEncoder().encode("\nlock:");
const contentBuffer = new Uint8Array(4096);
const decoder = new TextDecoder();

/** Adds a descriptor to the scan if it carries locks; returns the errno. */
function scanDescriptor(
  directoryFd: number,
  pid: number,
  name: string,
  scan: DescriptorScan,
): number {
  const fd = openEntryAt(directoryFd, name, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -fd;
  try {
    const count = readNext(fd, contentBuffer);
    if (count < 0) return -count;
    let bytes = contentBuffer.subarray(0, count);
    if (!includesBytes(bytes, LOCK_KEY)) {
      // The kernel gives all of a short text in one read, and puts the lock
      // lines before what a driver adds (seq_show in fs/proc/fd.c).
      return 0;
    }
    if (count === contentBuffer.length) {
      const rest = readToEnd(fd);
      if (typeof rest === "number") return -rest;
      const whole = new Uint8Array(count + rest.length);
      whole.set(bytes);
      whole.set(rest, count);
      bytes = whole;
    }
    try {
      const { locks } = parseFdinfo(decoder.decode(bytes), {
        source: `/proc/${pid}/fdinfo/${name}`,
        onError: () => scan.unparsedLines++,
      });
      scan.descriptors.push({ pid, fd: Number(name), locks });
    } catch (error) {
      if (!(error instanceof ProcParseError)) throw error;
      scan.unparsedLines++;
    }
    return 0;
  } finally {
    closeFile(fd);
  }
}

function includesBytes(haystack: Uint8Array, needle: Uint8Array): boolean {
  const [first] = needle;
  let at = haystack.indexOf(first!);
  while (at >= 0) {
    let length = 1;
    while (length < needle.length && haystack[at + length] === needle[length]) {
      length++;
    }
    if (length === needle.length) return true;
    at = haystack.indexOf(first!, at + 1);
  }
  return false;
}
