/**
 * `holdfast append`: stdin at the end of a file, as one piece.
 *
 * @module
 */

import { keepIgnoredSignals } from "../../../lib/sys/process/signals.ts";
import { appendToFile } from "../../../lib/patterns/append.ts";
import { APPEND_SPEC } from "./spec.ts";
import { EXIT } from "../../ui/exit_codes.ts";
import { parseOptions, UsageError } from "../../args/parse.ts";
import { readWaitOptions } from "../../args/wait_options.ts";

/** Runs the subcommand and gives the exit code. */
export async function appendCommand(args: string[]): Promise<number> {
  const options = parseOptions(APPEND_SPEC, args);
  keepIgnoredSignals();
  const [path, ...others] = options.operands;
  if (path === undefined) throw new UsageError("missing file");
  if (others.length > 0) throw new UsageError("only one file at a time");
  const data = await new Response(Deno.stdin.readable).bytes();
  await appendToFile(path, data, {
    ...readWaitOptions(options),
    startNewLine: options.flag("start-new-line"),
    sync: options.flag("sync"),
  });
  return EXIT.OK;
}
