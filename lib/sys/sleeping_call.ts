/**
 * The system calls in which threads sleep, as the kernel tells.
 *
 * @module
 */

import { readTextIfAny } from "./file.ts";
import { listDirectory } from "./list_directory.ts";

const isArm = Deno.build.arch === "aarch64";

/** The numbers of the system calls that are named by number here. */
export const SYSCALL_NUMBERS = isArm
  ? { flock: 32, fcntl: 25, kcmp: 272 }
  : { flock: 73, fcntl: 72, kcmp: 312 };

/** A thread asleep in a system call. */
export interface SleepingCall {
  /** The thread. */
  threadId: number;
  /** The number of the system call. */
  number: number;
  /** Its arguments as the registers hold them. */
  args: readonly bigint[];
}

/**
 * The calls in which threads of a process sleep right now.
 *
 * Permissions: `--allow-ffi`; none are shown of a process that ptrace(2) could
 * not attach to. See proc_pid_syscall(5).
 *
 * @param pid The process.
 */
export function readSleepingCalls(pid: number): SleepingCall[] {
  const threads = listDirectory(`/proc/${pid}/task`);
  if (typeof threads === "number") return [];
  const found: SleepingCall[] = [];
  for (const thread of threads) {
    const text = readTextIfAny(`/proc/${pid}/task/${thread}/syscall`);
    const [number, ...args] = text?.split(" ") ?? [];
    // "running", or -1 asleep elsewhere than in a system call.
    if (args.length < 6) continue;
    found.push({
      threadId: Number(thread),
      number: Number(number),
      args: args.slice(0, 6).map(BigInt),
    });
  }
  return found;
}

/** An argument of type int: the register's upper half may hold anything. */
export function intArgument(register: bigint): number {
  return Number(BigInt.asIntN(32, register));
}
