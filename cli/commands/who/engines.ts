import { readClusterLock } from "../../../lib/cluster/acquire.ts";
import type { ParsedOptions } from "../../args/parse.ts";
import { readEngineOptions } from "../../args/read_engine_options.ts";
import { EXIT } from "../../ui/exit_codes.ts";
import {
  asUsage,
  checkAllUrls,
  statusText,
  statusToJson,
} from "../../ui/engine_text.ts";
import { writeOut } from "../../ui/output.ts";

/** `who` on locks in engines; gives the exit code. */
export async function whoInEngines(
  urls: readonly string[],
  options: ParsedOptions,
): Promise<number> {
  checkAllUrls(urls);
  const engine = readEngineOptions(options);
  const locks = await asUsage(() =>
    Promise.all(urls.map((url) => readClusterLock(url, { engine })))
  );
  writeOut(
    options.flag("json")
      ? JSON.stringify({ schema: 1, locks: locks.map(statusToJson) }) + "\n"
      : locks.map((lock) => `${statusText(lock)}\n`).join(""),
  );
  return locks.some(({ holders }) => holders.length > 0) ? 1 : EXIT.OK;
}
