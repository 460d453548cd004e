/**
 * `run --cpus`: a command with CPUs of its own.
 *
 * @module
 */

import { reserveCpus } from "../../../lib/patterns/cpu_reservation.ts";
import { lockDirectory } from "../../../lib/patterns/lock_directory.ts";
import { formatCpuList, parseCpuList } from "../../../lib/proc/cpulist.ts";
import { setAffinity } from "../../../lib/sys/affinity.ts";
import { readCount } from "../../args/count.ts";
import { UsageError } from "../../args/parse.ts";
import type { RunRequest, TakenLock } from "./request.ts";
import { waitByLibrary } from "./wait_by_library.ts";

/** Reserves CPUs, and has this process and its commands run on them only. */
export function takeCpus(
  request: RunRequest,
): Promise<TakenLock | undefined> {
  const { options, mode } = request;
  const count = options.value("cpus");
  const list = options.value("cpu-list");
  const domains = options.value("llcs");
  if ([count, list, domains].filter((text) => text !== undefined).length > 1) {
    throw new UsageError(
      "only one of --cpus, --cpu-list and --llcs can be met",
    );
  }
  const performance = options.flag("performance");
  if (performance && mode === "shared") {
    throw new UsageError("--performance can't go with --shared");
  }
  const directory = `${lockDirectory()}/cpu`;
  return waitByLibrary(request, directory, async (waiting) => {
    const lock = await reserveCpus({
      ...waiting,
      cpus: count === undefined ? readList(list) : readCount("cpus", count),
      domains: domains === undefined ? undefined : readCount("llcs", domains),
      sameDomain: options.flag("same-llc"),
      use: performance
        ? "performance"
        : mode === "shared"
        ? "shared"
        : "dedicated",
      directory,
    });
    // A child inherits the mask of the thread that starts it, which is this.
    setAffinity(lock.cpus);
    return { lock, env: { HOLDFAST_CPUS: formatCpuList(lock.cpus) } };
  });
}

function readList(text: string | undefined): number[] | undefined {
  if (text === undefined) return undefined;
  try {
    return parseCpuList(text);
  } catch {
    throw new UsageError(`invalid list of CPUs: '${text}'`, {
      hint: "Write numbers and ranges: 0-3,8",
    });
  }
}
