import { diagnoseCluster } from "../../../lib/cluster/acquire.ts";
import type { ClusterDiagnosis } from "../../../lib/cluster/engine.ts";
import { leaseTimes } from "../../../lib/cluster/lease_rule.ts";
import { quotePath } from "../../../lib/proc/printable.ts";
import { type ParsedOptions, UsageError } from "../../args/parse.ts";
import { formatDuration } from "../../args/duration.ts";
import { readEngineOptions } from "../../args/read_engine_options.ts";
import { asUsage, checkAllUrls } from "../../ui/engine_text.ts";
import { EXIT } from "../../ui/exit_codes.ts";
import { writeOut } from "../../ui/output.ts";

/** Exit code when locks can't be taken there. */
const UNSAFE = 1;

/** `doctor` on engines; gives the exit code. */
export async function examineEngines(
  urls: readonly string[],
  options: ParsedOptions,
): Promise<number> {
  checkAllUrls(urls);
  for (const name of ["kind", "probe"]) {
    if (!options.flag(name)) continue;
    throw new UsageError(`--${name} can't go with an engine`);
  }
  const engine = readEngineOptions(options);
  const found = await asUsage(() =>
    Promise.all(urls.map((url) => diagnoseCluster(url, { engine })))
  );
  writeOut(
    options.flag("json")
      ? JSON.stringify({ schema: 1, engines: found }) + "\n"
      : found.map(toText).join("\n"),
  );
  return found.every(({ usable }) => usable) ? EXIT.OK : UNSAFE;
}

function toText({ url, usable, facts, warnings }: ClusterDiagnosis): string {
  const { ttlMs, marginMs, graceMs } = leaseTimes();
  const lines = [
    `${quotePath(url)}: ${usable ? "locks can be taken" : "not usable"}`,
    ...facts.map(({ name, value }) => `  ${name}: ${value}`),
    `  unless told otherwise: a lease lasts ${formatDuration(ttlMs)}; ` +
    `${formatDuration(ttlMs - marginMs)} after its last renewal was sent the ` +
    `command gets TERM, ${formatDuration(graceMs)} later KILL; clocks of ` +
    "other hosts play no part",
    ...warnings.map(({ message }) => `  note: ${message}`),
  ];
  return lines.join("\n") + "\n";
}
