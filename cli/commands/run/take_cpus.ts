/**
 * `run --cpus`: a command with CPUs of its own.
 *
 * @module
 */

import { HeldGroup } from "../../../lib/lock/lock_set.ts";
import { acquireCpus } from "../../../lib/patterns/cpu_reservation.ts";
import { lockDirectory } from "../../../lib/patterns/lock_directory.ts";
import { formatCpuList } from "../../../lib/proc/cpulist.ts";
import { setAffinity } from "../../../lib/sys/process/affinity.ts";
import type { CpuWish, RunRequest, TakenLock } from "./request.ts";
import { takeByEngine } from "./take_by_engine.ts";
import { takeLock } from "./take_lock.ts";

/** Takes the lock, if there is one, and then the CPUs. */
export async function takeLockAndCpus(
  request: RunRequest,
  wish: CpuWish,
): Promise<TakenLock | undefined> {
  if (request.target.type === "nothing") return await takeCpus(request, wish);
  const { timeoutMs } = request;
  const start = performance.now();
  const locks = await takeLock({ ...request, cpus: undefined });
  if (locks === undefined || locks.skip) return locks;
  let cpus: TakenLock | undefined;
  try {
    const leftMs = timeoutMs - (performance.now() - start);
    cpus = await takeCpus({ ...request, timeoutMs: Math.max(0, leftMs) }, wish);
    return cpus && {
      lock: new HeldGroup([locks.lock, cpus.lock]),
      env: { ...locks.env, ...cpus.env },
    };
  } finally {
    if (cpus === undefined) locks.lock.release();
  }
}

/** Reserves CPUs, and has this process and its commands run on them only. */
async function takeCpus(
  request: RunRequest,
  { performance, ...wish }: CpuWish,
): Promise<TakenLock | undefined> {
  const { mode } = request;
  const directory = `${lockDirectory()}/cpu`;
  const lock = await takeByEngine(
    request,
    (waiting) =>
      acquireCpus({
        ...waiting,
        ...wish,
        use: performance
          ? "performance"
          : mode === "shared"
          ? "shared"
          : "dedicated",
        directory,
      }),
    { name: directory },
  );
  if (lock === undefined) return undefined;
  // A child inherits the mask of the thread that starts it, which is this.
  setAffinity(lock.cpus);
  return { lock, env: { HOLDFAST_CPUS: formatCpuList(lock.cpus) } };
}
