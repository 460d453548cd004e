import { listClusterLocks } from "../../../lib/cluster/acquire.ts";
import { type ParsedOptions, UsageError } from "../../args/parse.ts";
import {
  isEngineOption,
  readEngineOptions,
} from "../../args/read_engine_options.ts";
import {
  asUsage,
  checkAllUrls,
  statusText,
  statusToJson,
} from "../../ui/engine_text.ts";
import { EXIT } from "../../ui/exit_codes.ts";
import { writeError, writeOut } from "../../ui/output.ts";

/** `locks` on engines: what is held there, by prefix; gives the exit code. */
export async function locksInEngines(options: ParsedOptions): Promise<number> {
  const urls = options.operands;
  checkAllUrls(urls);
  const other = options.values.map(({ option }) => option.long)
    .find((name) => name !== "json" && !isEngineOption(name));
  if (other !== undefined) {
    throw new UsageError(`--${other} can't go with an engine`, {
      hint: "Of its options only --json and those for URLs can",
    });
  }
  const engine = readEngineOptions(options);
  const found = await asUsage(() =>
    Promise.all(urls.map((url) => listClusterLocks(url, { engine })))
  );
  const locks = found.flat();
  if (options.flag("json")) {
    writeOut(JSON.stringify({ schema: 1, locks: locks.map(statusToJson) }));
    writeOut("\n");
  } else if (locks.length > 0) {
    writeOut(locks.map((lock) => `${statusText(lock)}\n`).join(""));
  } else {
    writeError("holdfast locks: no such lock is held now\n");
  }
  return EXIT.OK;
}
