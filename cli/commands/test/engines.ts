import { readClusterLock } from "../../../lib/cluster/acquire.ts";
import { quotePath } from "../../../lib/proc/printable.ts";
import { type ParsedOptions, UsageError } from "../../args/parse.ts";
import { readEngineOptions } from "../../args/read_engine_options.ts";
import { asUsage, statusText, statusToJson } from "../../ui/engine_text.ts";
import { EXIT } from "../../ui/exit_codes.ts";
import { writeOut } from "../../ui/output.ts";

/** Exit code when somebody is in the way. */
const HELD = 1;

/**
 * `test` on a lock in an engine; gives the exit code. Whoever waits is in the
 * way too: the queue is served in order.
 */
export async function testInEngine(
  url: string,
  options: ParsedOptions,
): Promise<number> {
  for (const name of ["kind", "range"]) {
    if (!options.flag(name)) continue;
    throw new UsageError(`--${name} can't go with a lock in an engine`);
  }
  const isShared = options.flag("shared");
  const engine = readEngineOptions(options);
  const lock = await asUsage(() => readClusterLock(url, { engine }));
  const inTheWay = [...lock.holders, ...lock.waiters].filter(({ mode }) =>
    !isShared || mode === "exclusive"
  );
  const free = inTheWay.length === 0;
  writeOut(
    options.flag("json")
      ? JSON.stringify({ schema: 1, free, ...statusToJson(lock) }) + "\n"
      : free && lock.holders.length > 0
      ? `${quotePath(lock.url)}: free to be shared\n`
      : `${statusText(lock)}\n`,
  );
  return free ? EXIT.OK : HELD;
}
