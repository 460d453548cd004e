/**
 * What the command line of `holdfast run` asks for, in typed values.
 *
 * @module
 */

import { type ParsedOptions, UsageError } from "../../args/parse.ts";
import { environmentVariable } from "../../../lib/sys/process/environment.ts";
import type { LockMode } from "../../../lib/lock/flock/flock.ts";
import { isLockUrl } from "../../../lib/lock/lock_path.ts";
import { EXIT } from "../../ui/exit_codes.ts";
import type { RunLogOptions } from "./log.ts";
import type { CommandRequest, LockTarget, RunRequest } from "./request.ts";

/** Options that make more of it than a flock of the files that are named. */
const TARGET_OPTIONS = [
  "kind",
  "range",
  "message",
  "lease",
  "lease-margin",
  "cacert",
  "cert",
  "key",
  "password-file",
  "fair",
  "every",
  "fence",
  "tree",
  "slots",
  "want",
  "cpus",
  "cpu-list",
  "llcs",
  "same-llc",
  "performance",
];

/**
 * Reads a command line that has been taken apart.
 *
 * @throws {UsageError} when it can't be met.
 */
export async function readRequest(options: ParsedOptions): Promise<RunRequest> {
  const singleton = options.flag("singleton");
  const quiet = options.flag("quiet") || singleton;
  const verbose = options.flag("verbose") && !quiet;
  const mode = options.last("shared", "exclusive") ?? "exclusive";
  const maxLoad = options.value("max-load");
  const { target, cpus } = options.operands.some(isLockUrl)
    ? await readClusterTarget(options, mode)
    : TARGET_OPTIONS.some((name) => options.flag(name))
    ? await (await import("./read_target.ts")).readTarget(options, mode)
    : { target: readFiles(options), cpus: undefined };
  const command = await readCommandRequest(options);
  return {
    target,
    cpus,
    mode,
    allowRemote: options.flag("allow-remote"),
    allowNested: options.flag("allow-nested"),
    timeoutMs: options.last("nonblock", "timeout") === "nonblock" || singleton
      ? 0
      : await readMs(options.value("timeout")) ?? Infinity,
    conflictExitCode: readExitCode(
      options.value("conflict-exit-code") ?? (singleton ? "0" : undefined),
    ),
    maxLoad: maxLoad === undefined
      ? undefined
      : (await import("./load_gate.ts")).parseLoadLimit(maxLoad),
    verbosity: quiet ? "quiet" : verbose ? "verbose" : "normal",
    command,
    log: await openLog(options, verbose, {
      kind: target.type === "files" ? target.kind : target.type,
      mode,
      command: command.argv,
    }),
  };
}

async function readClusterTarget(options: ParsedOptions, mode: LockMode) {
  const { readClusterTarget } = await import("./cluster/read_target.ts");
  return { target: readClusterTarget(options, mode), cpus: undefined };
}

function readFiles({ operands }: ParsedOptions): LockTarget {
  if (operands.length === 0) throw new UsageError("missing lock file");
  return { type: "files", paths: operands, kind: "flock", range: undefined };
}

async function readCommandRequest(
  options: ParsedOptions,
): Promise<CommandRequest> {
  const exec = options.flag("exec");
  if (exec) checkExec(options);
  return {
    argv: readArgv(options),
    variables: options.all("env").map(readAssignment),
    directory: options.value("cwd"),
    exec,
    onDeath: options.value("on-supervisor-death") as CommandRequest["onDeath"],
    killAfterMs: await readMs(options.value("kill-after")),
  };
}

function readArgv(options: ParsedOptions): readonly string[] {
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
  about: RunLogOptions["about"],
): Promise<RunRequest["log"]> {
  const eventsTo = options.value("json-events");
  const history = environmentVariable("HOLDFAST_EVENTS");
  const report = options.flag("report");
  if (
    eventsTo === undefined && history === undefined && !report && !verbose
  ) return undefined;
  const { RunLog } = await import("./log.ts");
  return new RunLog(options.operands, {
    eventsTo,
    history,
    report,
    verbose,
    about,
  });
}
