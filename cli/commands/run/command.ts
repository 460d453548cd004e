/**
 * `holdfast run`: take a lock, run a command, pass its exit code on.
 *
 * @module
 */

import { changeDirectory, setEnvironment } from "../../../lib/sys/exec.ts";
import { EXIT } from "../../ui/exit_codes.ts";
import {
  type ParsedOptions,
  parseOptions,
  UsageError,
} from "../../args/parse.ts";
import type { RunLog } from "./log.ts";
import type { RunRequest } from "./request.ts";
import { RUN_SPEC } from "./spec.ts";
import type { SuperviseOptions, Supervisor } from "./supervise.ts";
import { takeLock } from "./take_lock.ts";

/** Runs the subcommand and gives the exit code. */
export async function runCommand(args: string[]): Promise<number> {
  const options = parseOptions(RUN_SPEC, args);
  const guard = options.value("guard");
  if (guard !== undefined) {
    const { becomeGuarded } = await import("./become_command.ts");
    return becomeGuarded(Number(guard), options.afterDashes ?? []);
  }
  const request = await readRequest(options);
  const { command, log } = request;
  const onDeath = options.value(
    "on-supervisor-death",
  ) as SuperviseOptions["onDeath"];
  const killAfterMs = await readMs(options.value("kill-after"));
  const onStart = log && ((pid: number) => log.started(pid));
  let supervisor: Supervisor | undefined;
  const makeSupervisor = async () => {
    const { Supervisor } = await import("./supervise.ts");
    return new Supervisor(command, { onDeath, killAfterMs, onStart });
  };
  // What runs the command is made while nobody waits for this process, not once
  // it has the lock.
  request.beforeSleep = options.flag("exec")
    ? async () => void await import("./become_command.ts")
    : async () => await (supervisor ??= await makeSupervisor()).standBy();
  const variables = options.all("env").map(readAssignment);
  const taken = options.flag("max-load")
    ? await (await import("./load_gate.ts")).takeLockUnderLoad(request)
    : await takeLock(request);
  if (taken === undefined) {
    log?.gaveUp();
    return request.conflictExitCode;
  }
  if (taken.skip) return EXIT.OK;
  using lock = taken.lock;
  log?.acquired();
  prepare({ ...taken.env, ...Object.fromEntries(variables) }, options);
  if (options.flag("exec")) {
    const { becomeCommand } = await import("./become_command.ts");
    return becomeCommand(command, lock);
  }
  if (onDeath === "keep" && lock.setInheritable === undefined) {
    throw new UsageError(
      "--on-supervisor-death keep can't go with this kind of lock",
      { hint: "Only flock and ofd locks can be left to the command" },
    );
  }
  supervisor ??= await makeSupervisor();
  const ending = await supervisor.run(lock);
  lock.release();
  log?.exited(ending);
  if (lock.lost?.aborted) throw lock.lost.reason;
  if (ending.signal === "SIGINT") await dieOfInterrupt();
  return ending.exitCode;
}

/** Options that lock something else than a file that the user names. */
const NAMELESS = ["tree", "cpus", "cpu-list", "llcs"];

async function readRequest(options: ParsedOptions): Promise<RunRequest> {
  const needsNoPath = NAMELESS.some((name) => options.flag(name));
  if (options.operands.length === 0 && !needsNoPath) {
    throw new UsageError("missing lock file");
  }
  const singleton = options.flag("singleton");
  const quiet = options.flag("quiet") || singleton;
  const verbose = options.flag("verbose") && !quiet;
  if (options.flag("exec")) checkExec(options);
  return {
    lockPaths: options.operands,
    command: readCommand(options),
    mode: options.last("shared", "exclusive") === "shared"
      ? "shared"
      : "exclusive",
    timeoutMs: options.flag("nonblock") || singleton
      ? 0
      : await readMs(options.value("timeout")) ?? Infinity,
    conflictExitCode: readExitCode(
      options.value("conflict-exit-code") ?? (singleton ? "0" : undefined),
    ),
    allowRemote: options.flag("allow-remote"),
    verbosity: quiet ? "quiet" : verbose ? "verbose" : "normal",
    options,
    log: await openLog(options, verbose),
  };
}

function readCommand(options: ParsedOptions): readonly string[] {
  const text = options.value("command");
  const { operands, afterDashes = [] } = options;
  if (text !== undefined) {
    const shell = options.value("shell") ?? "/bin/sh";
    return [shell, "-c", text, shell, ...afterDashes];
  }
  if (options.flag("shell")) throw new UsageError("--shell goes with -c");
  if (afterDashes.length > 0) return afterDashes;
  throw new UsageError("missing command", {
    hint: operands.length > 1
      ? "Write -- between the lock files and the command"
      : "Write the command after the lock file and --",
  });
}

/** Options about what holdfast does while the command runs. */
const SUPERVISOR_OPTIONS = ["on-supervisor-death", "kill-after", "report"];

function checkExec(options: ParsedOptions): void {
  for (const name of SUPERVISOR_OPTIONS) {
    if (options.flag(name)) {
      throw new UsageError(
        `--${name} can't go with --exec, which leaves nobody to do it`,
      );
    }
  }
}

function readExitCode(text: string | undefined): number {
  if (text === undefined) return EXIT.TEMP_FAIL;
  const code = Number(text);
  if (!/^\d+$/.test(text) || code > 255) {
    throw new UsageError(`invalid exit code: '${text}' (0 to 255)`);
  }
  return code;
}

async function readMs(text: string | undefined): Promise<number | undefined> {
  if (text === undefined) return undefined;
  return (await import("../../args/duration.ts")).parseDuration(text);
}

function readAssignment(text: string): [name: string, value: string] {
  const at = text.indexOf("=");
  if (at > 0) return [text.slice(0, at), text.slice(at + 1)];
  throw new UsageError(`invalid variable: '${text}'`, {
    hint: "Write NAME=VALUE",
  });
}

async function openLog(
  options: ParsedOptions,
  verbose: boolean,
): Promise<RunLog | undefined> {
  const eventsTo = options.value("json-events");
  const report = options.flag("report");
  if (eventsTo === undefined && !report && !verbose) return undefined;
  const { RunLog } = await import("./log.ts");
  return new RunLog(options.operands, { eventsTo, report, verbose });
}

/** Environment and directory as the command is to find them. */
function prepare(
  variables: Record<string, string>,
  options: ParsedOptions,
): void {
  for (const [name, value] of Object.entries(variables)) {
    setEnvironment(name, value);
  }
  const directory = options.value("cwd");
  if (directory !== undefined) changeDirectory(directory);
}

/**
 * A shell ends its script at Ctrl-C only when its child has died of it, and
 * takes an exit code of 130 for a program that has dealt with it.
 */
async function dieOfInterrupt(): Promise<void> {
  const { resetSignal, sendSignal } = await import(
    "../../../lib/sys/signals.ts"
  );
  resetSignal("SIGINT");
  sendSignal(0, "SIGINT");
}
