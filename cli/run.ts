/**
 * `holdfast run`: take a lock, run a command, pass its exit code on.
 *
 * @module
 */

import type { FlockHandle, LockMode } from "../lib/lock/flock.ts";
import { tryAcquire } from "../lib/wait/acquire.ts";
import { parseDuration } from "./duration.ts";
import { EXIT } from "./exit_codes.ts";
import { type ParsedOptions, parseOptions, UsageError } from "./options.ts";
import { runCommandLine } from "./command_line.ts";
import { RUN_SPEC } from "./run_spec.ts";

/** What the user asked `run` for. */
export interface RunRequest {
  /** The lock file. */
  lockPath: string;
  /** The command and its arguments. */
  command: string[];
  /** Shared or exclusive. */
  mode: LockMode;
  /** How long to wait for the lock; 0 doesn't wait. */
  timeoutMs: number;
  /** Exit code when the lock is not to be had in time. */
  conflictExitCode: number;
  /** Lock even where flock can't be relied on. */
  allowRemote: boolean;
  /** How much to say: `quiet` only errors. */
  verbosity: "quiet" | "normal" | "verbose";
}

/** Runs the subcommand and gives the exit code. */
export async function runCommand(args: string[]): Promise<number> {
  const request = readRequest(parseOptions(RUN_SPEC, args));
  const lock = tryAcquire(request.lockPath, request) ??
    await waitForLock(request);
  if (lock === undefined) return request.conflictExitCode;
  try {
    return await runCommandLine(request.command, lock);
  } finally {
    lock.release();
  }
}

function readRequest(options: ParsedOptions): RunRequest {
  const [lockPath, ...rest] = options.operands;
  if (lockPath === undefined) throw new UsageError("missing lock file");
  const command = options.afterDashes ?? rest;
  if (command.length === 0) throw new UsageError("missing command");
  if (options.afterDashes !== undefined && rest.length > 0) {
    throw new UsageError(`unexpected operand before "--": ${rest[0]}`);
  }
  const mode = options.last("shared", "exclusive") === "shared"
    ? "shared"
    : "exclusive";
  const timeout = options.value("timeout");
  return {
    lockPath,
    command,
    mode,
    timeoutMs: options.flag("nonblock")
      ? 0
      : timeout === undefined
      ? Infinity
      : parseDuration(timeout),
    conflictExitCode: readExitCode(options.value("conflict-exit-code")),
    allowRemote: options.flag("allow-remote"),
    verbosity: options.flag("quiet")
      ? "quiet"
      : options.flag("verbose")
      ? "verbose"
      : "normal",
  };
}

function readExitCode(text: string | undefined): number {
  if (text === undefined) return EXIT.TEMP_FAIL;
  const code = Number(text);
  if (!/^\d+$/.test(text) || code > 255) {
    throw new UsageError(`invalid exit code: '${text}' (0 to 255)`);
  }
  return code;
}

async function waitForLock(
  request: RunRequest,
): Promise<FlockHandle | undefined> {
  const { waitForFlock } = await import("./wait_for_lock.ts");
  return waitForFlock(request);
}
