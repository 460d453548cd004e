import { parseFdinfo } from "../proc/fdinfo.ts";
import type { ProcLock } from "../proc/proc_locks.ts";
import { EACCES, EPERM } from "../sys/errno.ts";
import { isGone, listDirectory, readBytes } from "../sys/file.ts";
import { SyscallError } from "../sys/error.ts";

/** A descriptor through which a process holds locks. */
export interface LockedDescriptor {
  /** The process that has it open. */
  pid: number;
  /** Its number there. */
  fd: number;
  /** The mount it was opened through. */
  mountId: number;
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
}

const LOCK_KEY = new TextEncoder().encode("\nlock:");

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
  const scan: DescriptorScan = {
    descriptors: [],
    readable: new Set(),
    unreadable: new Set(),
  };
  for (const pid of listPids()) scanProcess(pid, scan);
  return scan;
}

/** The process ids in /proc. */
function listPids(): number[] {
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

const decoder = new TextDecoder();

function scanProcess(pid: number, scan: DescriptorScan): void {
  const directory = `/proc/${pid}/fdinfo`;
  const names = listDirectory(directory);
  if (typeof names === "number") {
    if (!isGone(-names)) scan.unreadable.add(pid);
    return;
  }
  for (const name of names) {
    const bytes = readBytes(`${directory}/${name}`);
    if (typeof bytes === "number") {
      if (bytes === -EACCES || bytes === -EPERM) {
        // The directory may be listed although what is in it may not be read.
        scan.unreadable.add(pid);
        return;
      }
      continue;
    }
    if (!includesBytes(bytes, LOCK_KEY)) continue;
    const info = parseFdinfo(decoder.decode(bytes));
    scan.descriptors.push({
      pid,
      fd: Number(name),
      mountId: info.mountId,
      locks: info.locks,
    });
  }
  scan.readable.add(pid);
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
