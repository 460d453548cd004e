/**
 * A process that takes a lock of an engine: `held FENCE` once it has it,
 * `waiting POSITION` meanwhile, `lost REASON` if it loses it. A line on stdin,
 * or its end, lets it release and say `released`.
 *
 * ```sh
 * cluster_holder.ts URL [REQUEST as JSON]
 * ```
 */
import { openEngine } from "../../lib/cluster/postgres/mod.ts";
import { parseClusterUrl } from "../../lib/cluster/url.ts";
import { HelperProcess } from "./helper_process.ts";

/** Starts such a process. */
export function spawnClusterHolder(
  url: string,
  request: Record<string, unknown> = {},
): HelperProcess {
  return HelperProcess.spawn(Deno.execPath(), [
    "run",
    "--no-check",
    "--quiet",
    "-A",
    import.meta.url,
    url,
    JSON.stringify(request),
  ]);
}

/** Starts one and waits until it has the lock. */
export async function holdInProcess(
  url: string,
  request: Record<string, unknown> = {},
): Promise<HelperProcess & { fence: bigint }> {
  const holder = spawnClusterHolder(url, request);
  let line = await holder.nextLine() ?? "";
  while (line.startsWith("waiting ")) line = await holder.nextLine() ?? "";
  const fence = /^held (\d+)$/.exec(line)?.[1];
  if (fence === undefined) {
    await holder[Symbol.asyncDispose]();
    throw new Error(`the holder said ${JSON.stringify(line)}`);
  }
  return Object.assign(holder, { fence: BigInt(fence) });
}

if (import.meta.main) {
  const [text = "", request = "{}"] = Deno.args;
  const url = parseClusterUrl(text);
  await using engine = openEngine(url);
  const lock = await engine.acquire(url.name, {
    ...JSON.parse(request),
    onWait: ({ position }) => console.log(`waiting ${position}`),
  });
  if (lock === undefined) {
    console.log("busy");
    Deno.exit(0);
  }
  console.log(`held ${lock.fence}`);
  lock.lost.addEventListener("abort", () => {
    console.log(`lost ${lock.lost.reason.message}`);
  });
  await Deno.stdin.read(new Uint8Array(16));
  await lock.release();
  console.log("released");
}
