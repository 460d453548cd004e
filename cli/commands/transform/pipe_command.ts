/**
 * Running a command for what it prints.
 *
 * @module
 */

import { restoreDescriptorLimit } from "../../../lib/sys/inheritance.ts";
import { EXIT } from "../../ui/exit_codes.ts";
import { type ParsedOptions, UsageError } from "../../args/parse.ts";
import { writeError } from "../../ui/output.ts";

/** A command has failed, which has been said or is its own affair. */
export class CommandFailure extends Error {
  override name = "CommandFailure";
  /** The exit code to pass on. */
  readonly exitCode: number;

  constructor(exitCode: number) {
    super(`exit code ${exitCode}`);
    this.exitCode = exitCode;
  }
}

/** How {@linkcode pipeCommand} runs a command. */
export interface PipeOptions {
  /** What it reads; nothing unless given. */
  input?: Uint8Array<ArrayBuffer>;
  /** Variables to add to its environment. */
  env?: Record<string, string>;
}

/**
 * Runs a command and gives what it has printed.
 *
 * @throws {CommandFailure} when it can't be started or doesn't exit with 0.
 */
export async function pipeCommand(
  [program = "", ...args]: readonly string[],
  options: PipeOptions = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const { input, env = {} } = options;
  restoreDescriptorLimit();
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(program, {
      args,
      env,
      stdin: input === undefined ? "null" : "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
  } catch (error) {
    const missing = error instanceof Deno.errors.NotFound;
    writeError(
      `holdfast: Cannot execute '${program}'${
        missing ? ": it was not found" : ""
      }\n`,
    );
    throw new CommandFailure(missing ? EXIT.NOT_FOUND : EXIT.NOT_EXECUTABLE);
  }
  const feeding = input === undefined
    ? undefined
    // One who doesn't read all of it has seen enough.
    : new Blob([input]).stream().pipeTo(child.stdin).catch(() => {});
  const { code, stdout } = await child.output();
  await feeding;
  if (code !== 0) throw new CommandFailure(code);
  return stdout;
}

/** The command after `--`. */
export function readCommand(options: ParsedOptions): readonly string[] {
  const { afterDashes = [] } = options;
  if (afterDashes.length > 0) return afterDashes;
  throw new UsageError("missing command", { hint: "Write it after --" });
}
