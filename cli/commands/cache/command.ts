/**
 * `holdfast cache`: entries built once.
 *
 * @module
 */

import { keepIgnoredSignals } from "../../../lib/sys/process/signals.ts";
import { evict, getOrBuild } from "../../../lib/patterns/cache.ts";
import { CACHE_SPEC } from "./spec.ts";
import { EXIT } from "../../ui/exit_codes.ts";
import { parseOptions, UsageError } from "../../args/parse.ts";
import { checkUtf8 } from "../../args/utf8.ts";
import { writeOut } from "../../ui/output.ts";
import {
  commandAfterDashes,
  CommandFailure,
  pipeCommand,
} from "../transform/pipe_command.ts";
import { absolutePath } from "../../../lib/sys/path_parts.ts";
import { readWaitOptions } from "../../args/wait_options.ts";

/** Runs the subcommand and gives the exit code. */
export async function cacheCommand(args: string[]): Promise<number> {
  const options = parseOptions(CACHE_SPEC, args);
  keepIgnoredSignals();
  const [directory, key, ...others] = options.operands;
  if (directory === undefined) throw new UsageError("missing directory");
  if (key === undefined) throw new UsageError("missing key");
  if (others.length > 0) throw new UsageError("only one key at a time");
  checkUtf8([directory, key], "the directory and key of a cache");
  const cache = { ...readWaitOptions(options), directory };
  const asPath = options.flag("path");
  try {
    if (options.flag("evict")) {
      await evict(key, cache);
      return EXIT.OK;
    }
    const command = commandAfterDashes(options);
    using entry = await getOrBuild(key, async (path, lock) => {
      const output = absolutePath(path);
      const env: Record<string, string> = asPath
        ? { HOLDFAST_OUTPUT: output }
        : {};
      const printed = await pipeCommand(command, { env, lock });
      if (!asPath) Deno.writeFileSync(path, printed, { createNew: true });
    }, cache);
    if (asPath) {
      writeOut(`${absolutePath(entry.path)}\n`);
    } else {
      using file = Deno.openSync(entry.path);
      await file.readable.pipeTo(Deno.stdout.writable, { preventClose: true });
    }
    return EXIT.OK;
  } catch (error) {
    if (error instanceof CommandFailure) return error.exitCode;
    throw error instanceof RangeError ? new UsageError(error.message) : error;
  }
}
