/**
 * `holdfast transform`: a file through a command, under its lock.
 *
 * @module
 */

import { keepIgnoredSignals } from "../../../lib/sys/process/signals.ts";
import {
  transformFile,
  type TransformOptions,
} from "../../../lib/patterns/transform_file.ts";
import { EXIT } from "../../ui/exit_codes.ts";
import { parseOptions, UsageError } from "../../args/parse.ts";
import {
  commandAfterDashes,
  CommandFailure,
  pipeCommand,
} from "./pipe_command.ts";
import { TRANSFORM_SPEC } from "./spec.ts";
import { readWaitOptions } from "../../args/wait_options.ts";

/** Runs the subcommand and gives the exit code. */
export async function transformCommand(args: string[]): Promise<number> {
  const options = parseOptions(TRANSFORM_SPEC, args);
  keepIgnoredSignals();
  const [path, ...others] = options.operands;
  if (path === undefined) throw new UsageError("missing file");
  if (others.length > 0) throw new UsageError("only one file at a time");
  const command = commandAfterDashes(options);
  try {
    await transformFile(
      path,
      (input) => pipeCommand(command, { input, holdSignals: true }),
      {
        ...readWaitOptions(options),
        create: options.flag("create"),
        fence: readFence(options.value("fence")),
        method: options.value("method") as TransformOptions["method"],
      },
    );
    return EXIT.OK;
  } catch (error) {
    if (error instanceof CommandFailure) return error.exitCode;
    throw error;
  }
}

function readFence(text: string | undefined): bigint | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,30}$/.test(text)) return BigInt(text);
  throw new UsageError(`invalid fence: '${text}'`, {
    hint: "It is a number, such as that in HOLDFAST_FENCE",
  });
}
