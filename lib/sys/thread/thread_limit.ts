/**
 * How many threads a program can spare for waiting.
 *
 * @module
 */

import { readTextIfAny } from "../file.ts";
import { libc } from "../libc.ts";

/** So few harm nobody, and aren't worth looking for limits. */
const FEW = 32;
const MOST = 2048;

/** A wait without a thread goes on by events; a program without one fails. */
const SHARE = 4;

const RLIMIT_NPROC = 6;

let most: number | undefined;

/**
 * The most threads to have waiting at once: a quarter of what this process may
 * have, by RLIMIT_NPROC and the pids controllers of its control groups.
 *
 * @param count How many there are.
 */
export function mostThreads(count: number): number {
  if (count < FEW) return FEW;
  most ??= Math.max(
    FEW,
    Math.min(MOST, Math.min(processLimit(), ...groupLimits()) / SHARE),
  );
  return most;
}

function processLimit(): number {
  // struct rlimit: rlim_cur, rlim_max
  const limits = new BigUint64Array(2);
  return libc.getrlimit(RLIMIT_NPROC, limits) < 0
    ? Infinity
    : Number(limits[0]!);
}

/** pids.max of each group from this process's up. See cgroups(7). */
function groupLimits(): number[] {
  const line = /^0::(\/.*)$/m.exec(readTextIfAny("/proc/self/cgroup") ?? "");
  const limits: number[] = [];
  for (let path = line?.[1] ?? ""; path !== "";) {
    const text = readTextIfAny(`/sys/fs/cgroup${path}/pids.max`);
    // Also "max", and the root, which has none.
    const limit = Number.parseInt(text ?? "");
    if (!Number.isNaN(limit)) limits.push(limit);
    path = path.slice(0, path.lastIndexOf("/"));
  }
  return limits;
}
