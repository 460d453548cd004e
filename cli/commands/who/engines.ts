import { readClusterLock } from "../../../lib/cluster/acquire.ts";
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
  json: boolean,
): Promise<number> {
  checkAllUrls(urls);
  const locks = await asUsage(() =>
    Promise.all(urls.map((url) => readClusterLock(url)))
  );
  writeOut(
    json
      ? JSON.stringify({ schema: 1, locks: locks.map(statusToJson) }) + "\n"
      : locks.map((lock) => `${statusText(lock)}\n`).join(""),
  );
  return locks.some(({ holders }) => holders.length > 0) ? 1 : EXIT.OK;
}
