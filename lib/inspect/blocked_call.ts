/**
 * Lock calls that sleep in the kernel, seen from the process's side. An OFD
 * waiter has pid -1 in /proc/locks; this is the only way to its process.
 *
 * @module
 */

import { parseFdinfo } from "../proc/fdinfo.ts";
import type { ProcLock } from "../proc/proc_locks.ts";
import {
  closeFile,
  O_CLOEXEC,
  O_RDONLY,
  openFile,
  readAt,
  readTextIfAny,
} from "../sys/file.ts";
import {
  intArgument,
  readSleepingCalls,
  SYSCALL_NUMBERS,
} from "../sys/sleeping_call.ts";
import { listPids } from "./descriptor_scan.ts";

/** A thread asleep in fcntl(F_OFD_SETLKW). */
export interface BlockedCall {
  /** The process. */
  pid: number;
  /** The descriptor it called with. */
  fd: number;
  /** The inode of the file behind it. */
  inode: bigint | undefined;
  /** Whether it asks for a read or a write lock, when that can be read. */
  access: "READ" | "WRITE" | undefined;
  /** The first byte it asks for, where it counts from the file's start. */
  startByte: bigint | undefined;
}

const F_OFD_SETLKW = 38;

/**
 * Finds the threads of this pid namespace that sleep in F_OFD_SETLKW, if one
 * of some waiters must be such a thread.
 *
 * Permissions: `--allow-ffi`; processes that ptrace(2) could not attach to are
 * passed over. See proc_pid_syscall(5).
 */
export function findBlockedOfdCalls(
  waiters: readonly ProcLock[],
): BlockedCall[] {
  if (!waiters.some(isNameless)) return [];
  const found: BlockedCall[] = [];
  for (const pid of listPids()) {
    for (const { number, args } of readSleepingCalls(pid)) {
      const [fd, command, address] = args.slice(0, 3) as [
        bigint,
        bigint,
        bigint,
      ];
      if (
        number !== SYSCALL_NUMBERS.fcntl ||
        intArgument(command) !== F_OFD_SETLKW
      ) {
        continue;
      }
      const descriptor = intArgument(fd);
      found.push({
        pid,
        fd: descriptor,
        inode: readInode(pid, descriptor),
        ...readStructFlock(pid, address),
      });
    }
  }
  return found;
}

function isNameless({ pid }: ProcLock): boolean {
  return pid === -1;
}

/**
 * The pid of a waiter here.
 *
 * @param line Its line in /proc/locks.
 * @param calls From {@linkcode findBlockedOfdCalls}; one that fits is taken
 * out, so that no two waiters get it.
 */
export function waiterPid(
  line: ProcLock,
  calls: BlockedCall[],
): number | undefined {
  if (!isNameless(line)) return line.pid > 0 ? line.pid : undefined;
  const index = calls.findIndex(({ inode, access, startByte }) =>
    inode === line.inode &&
    (access === undefined || access === line.access) &&
    (startByte === undefined || startByte === line.startByte)
  );
  return index < 0 ? undefined : calls.splice(index, 1)[0]!.pid;
}

function readInode(pid: number, fd: number): bigint | undefined {
  const text = readTextIfAny(`/proc/${pid}/fdinfo/${fd}`);
  return text === undefined
    ? undefined
    : parseFdinfo(text, { onError: () => {} }).inode;
}

const UNKNOWN = { access: undefined, startByte: undefined };

/** struct flock: short type, short whence, (4 bytes), off_t start, len, … */
function readStructFlock(
  pid: number,
  address: bigint,
): Pick<BlockedCall, "access" | "startByte"> {
  const fd = openFile(`/proc/${pid}/mem`, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return UNKNOWN;
  const buffer = new Uint8Array(32);
  const count = readAt(fd, buffer, address);
  closeFile(fd);
  if (count !== buffer.length) return UNKNOWN;
  const view = new DataView(buffer.buffer);
  const isFromStart = view.getInt16(2, true) === 0;
  return {
    access: view.getInt16(0, true) === 0 ? "READ" : "WRITE",
    startByte: isFromStart ? view.getBigInt64(8, true) : undefined,
  };
}
