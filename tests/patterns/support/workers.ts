import { fromFileUrl } from "@std/path/from-file-url";
import { HelperProcess } from "../../support/helper_process.ts";

const SCRIPT = fromFileUrl(new URL("./worker.ts", import.meta.url));
const CONFIG = fromFileUrl(new URL("../../../deno.json", import.meta.url));

/** How many times the usual work a stress test does. */
export const STRESS = Math.max(1, Number(Deno.env.get("HOLDFAST_STRESS") ?? 1));

/** The processes of `worker.ts`. */
export const Worker = {
  /** Starts one without waiting for it. */
  spawn(work: string, args: string[]): HelperProcess {
    return HelperProcess.spawn(Deno.execPath(), workerArgs(work, args));
  },
  /** Starts one and waits for its line "ready". */
  start(work: string, args: string[]): Promise<HelperProcess> {
    return HelperProcess.start(Deno.execPath(), workerArgs(work, args));
  },
};

function workerArgs(work: string, args: string[]): string[] {
  return ["run", "-A", "--no-check", "-q", "--config", CONFIG, SCRIPT, work]
    .concat(args);
}

/** Runs so many of them at once; gives the last line of each. */
export async function runWorkers(
  count: number,
  work: string,
  args: string[],
): Promise<(string | undefined)[]> {
  return await Promise.all(Array.from({ length: count }, async () => {
    await using worker = Worker.spawn(work, args);
    let last: string | undefined;
    for (;;) {
      const line = await worker.nextLine();
      if (line === undefined) return last;
      last = line;
    }
  }));
}
