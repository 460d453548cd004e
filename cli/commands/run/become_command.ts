/**
 * Commands that take this process over.
 *
 * @module
 */

import type { HeldLock } from "../../../lib/lock/held_lock.ts";
import { execCommand, prepareExec } from "../../../lib/sys/process/exec.ts";
import { libc } from "../../../lib/sys/libc.ts";
import { UsageError } from "../../args/parse.ts";

/**
 * Becomes the command, which holds the lock from then on.
 *
 * @throws {UsageError} when this kind of lock can't be passed on.
 * @throws {SyscallError} when the command can't be executed.
 */
export function becomeCommand(
  command: readonly string[],
  lock: HeldLock,
): never {
  if (lock.setInheritable === undefined) {
    throw new UsageError("--exec can't go with this kind of lock", {
      hint: "Only flock and ofd locks outlive an exec",
    });
  }
  lock.setInheritable(true);
  execCommand(command);
}

const PR_SET_PDEATHSIG = 1;
const SIGKILL = 9n;

/**
 * Becomes the command, which the kernel kills when its parent ends. The
 * setting outlives exec; see PR_SET_PDEATHSIG(2const).
 *
 * @param parent The process id of the supervisor.
 * @param gate Called when all is ready; the command is when it returns.
 */
export function becomeGuarded(
  parent: number,
  command: readonly string[],
  gate?: () => void,
): never {
  libc.prctl(PR_SET_PDEATHSIG, SIGKILL);
  // A parent that ended before that goes unnoticed by the kernel.
  if (libc.getppid() !== parent) Deno.exit(128 + Number(SIGKILL));
  const become = prepareExec(command);
  gate?.();
  return become();
}
