/**
 * Commands that take this process over.
 *
 * @module
 */

import type { HeldLock } from "../../../lib/lock/held_lock.ts";
import { dieWithParent, execCommand } from "../../../lib/sys/process/exec.ts";
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

const KILLED = 128 + 9;

/**
 * Becomes the command, which the kernel kills when its parent ends. The
 * setting outlives exec; see PR_SET_PDEATHSIG(2const).
 *
 * @param parent The process id of the supervisor.
 */
export function becomeGuarded(
  parent: number,
  command: readonly string[],
): never {
  if (!dieWithParent(parent)) Deno.exit(KILLED);
  execCommand(command);
}
