/**
 * `holdfast run`: take a lock, run a command, pass its exit code on.
 *
 * @module
 */

import {
  changeDirectory,
  isFirstProcess,
  setEnvironment,
} from "../../../lib/sys/process/exec.ts";
import { keepIgnoredSignals } from "../../../lib/sys/process/signals.ts";
import { parseOptions, UsageError } from "../../args/parse.ts";
import { EXIT } from "../../ui/exit_codes.ts";
import { readRequest } from "./read_request.ts";
import { RUN_SPEC } from "./spec.ts";
import type { Supervisor } from "./supervise.ts";
import { takeLock } from "./take_lock.ts";

/** Runs the subcommand and gives the exit code. */
export async function runCommand(args: string[]): Promise<number> {
  const options = parseOptions(RUN_SPEC, args);
  keepIgnoredSignals();
  const guard = options.value("guard");
  if (guard !== undefined) {
    const { becomeGuarded } = await import("./become_command.ts");
    return becomeGuarded(Number(guard), options.afterDashes ?? []);
  }
  const leaseGuard = options.value("lease-guard");
  if (leaseGuard !== undefined) {
    const { runLeaseGuard } = await import("./cluster/guard_process.ts");
    return runLeaseGuard(Number(leaseGuard), options.operands[0] ?? "");
  }
  const request = await readRequest(options);
  const { command, log, maxLoad } = request;
  const onStart = log && ((pid: number) => log.started(pid));
  let supervisor: Supervisor | undefined;
  const makeSupervisor = async () => {
    const { Supervisor } = await import("./supervise.ts");
    const { onDeath, killAfterMs } = command;
    return new Supervisor(command.argv, { onDeath, killAfterMs, onStart });
  };
  // What runs the command is made while nobody waits for this process, not once
  // it has the lock.
  request.beforeSleep = command.exec
    ? async () => void await import("./become_command.ts")
    : async () => await (supervisor ??= await makeSupervisor()).standBy();
  request.beforeQueue = async (onSignal) => {
    waiting?.[Symbol.dispose]();
    await (supervisor ??= await makeSupervisor()).heedSignals(onSignal);
  };
  const waiting = isFirstProcess()
    ? (await import("../../ui/first_process.ts")).endBySignals()
    : undefined;
  const taken = maxLoad === undefined
    ? await takeLock(request)
    : await (await import("./load_gate.ts"))
      .takeLockUnderLoad(request, maxLoad);
  if (taken === undefined) {
    log?.gaveUp();
    return request.conflictExitCode;
  }
  if (taken.skip) return EXIT.OK;
  using lock = taken.lock;
  log?.acquired();
  const variables = { ...taken.env, ...Object.fromEntries(command.variables) };
  prepare(variables, command.directory);
  if (command.exec) {
    const { becomeCommand } = await import("./become_command.ts");
    return becomeCommand(command.argv, lock);
  }
  if (command.onDeath === "keep" && lock.setInheritable === undefined) {
    throw new UsageError(
      "--on-supervisor-death keep can't go with this kind of lock",
      { hint: "Only flock and ofd locks can be left to the command" },
    );
  }
  supervisor ??= await makeSupervisor();
  waiting?.[Symbol.dispose]();
  const ending = await supervisor.run(lock, taken.process)
    .finally(taken.finish);
  lock.release();
  log?.exited(ending);
  if (lock.lost?.aborted) throw lock.lost.reason;
  if (ending.signal === "SIGINT") await dieOfInterrupt();
  return ending.exitCode;
}

/** Environment and directory as the command is to find them. */
function prepare(
  variables: Record<string, string>,
  directory: string | undefined,
): void {
  for (const [name, value] of Object.entries(variables)) {
    setEnvironment(name, value);
  }
  if (directory !== undefined) changeDirectory(directory);
}

/**
 * A shell ends its script at Ctrl-C only when its child has died of it, and
 * takes an exit code of 130 for a program that has dealt with it.
 */
async function dieOfInterrupt(): Promise<void> {
  const { resetSignal, sendSignal } = await import(
    "../../../lib/sys/process/signals.ts"
  );
  resetSignal("SIGINT");
  sendSignal(0, "SIGINT");
}
