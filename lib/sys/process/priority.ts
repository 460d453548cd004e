/**
 * Who gets the CPU first.
 *
 * @module
 */

import { callLibc } from "../call.ts";
import { libc } from "../libc.ts";
import { listDirectory } from "../list_directory.ts";
import { readPidStat } from "./process.ts";

const SCHED_OTHER = 0;
const SCHED_RR = 2;
const PRIO_PROCESS = 0;
const HIGHEST_NICE = -20;

/** struct sched_param: the lowest of the real-time priorities. */
const LOWEST_REAL_TIME = new Int32Array([1]);

/**
 * Has the kernel prefer this process to others, all its threads and those that
 * it will have. Commands that it starts from then on inherit that.
 *
 * It gets the lowest real-time priority: a nice value counts within a session
 * only, where the kernel groups by session (autogroup), and is the fallback
 * where real-time priorities are refused. A process that was given a policy or
 * a nice value by somebody keeps it.
 *
 * Permissions: `--allow-ffi`; root. See sched_setscheduler(2), sched(7).
 *
 * @returns Whether it is preferred now.
 */
export function runBeforeOthers(): boolean {
  if (readPidStat(Deno.pid)?.nice !== 0) return false;
  if (callLibc(() => libc.sched_getscheduler(0)) !== SCHED_OTHER) return false;
  const preferred = new Set<string>();
  // One that is made meanwhile by another that isn't preferred yet isn't either.
  for (let isNew = true; isNew;) {
    isNew = false;
    const threads = listDirectory("/proc/self/task");
    if (typeof threads === "number") return preferred.size > 0;
    for (const thread of threads) {
      if (!/^\d+$/.test(thread) || preferred.has(thread)) continue;
      // A thread that has ended can't be preferred, and isn't listed again.
      if (prefer(Number(thread))) {
        preferred.add(thread);
        isNew = true;
      }
    }
  }
  return preferred.size > 0;
}

function prefer(thread: number): boolean {
  const realTime = () =>
    libc.sched_setscheduler(thread, SCHED_RR, LOWEST_REAL_TIME);
  const nice = () => libc.setpriority(PRIO_PROCESS, thread, HIGHEST_NICE);
  return callLibc(realTime) === 0 || callLibc(nice) === 0;
}
