/**
 * `run` with more than a plain lock: turns, intervals, trees, slots, CPUs.
 *
 * @module
 */

import type { HeldLock } from "../../../lib/lock/held_lock.ts";
import { LockGroup } from "../../../lib/lock/lock_set.ts";
import { parseDuration } from "../../args/duration.ts";
import { UsageError } from "../../args/parse.ts";
import type { RunRequest, TakenLock } from "./request.ts";
import { absolutePath } from "../../../lib/sys/path_parts.ts";
import { take as takeFlock } from "./take_flock.ts";
import { waitByLibrary } from "./wait_by_library.ts";

/** Ways to take the lock that exclude each other. */
const WAYS = ["slots", "fair", "every"] as const;

/** Takes what the options ask for, first locks and then CPUs. */
export async function take(
  request: RunRequest,
): Promise<TakenLock | undefined> {
  const { options, timeoutMs } = request;
  checkOptions(request);
  const start = performance.now();
  const lockPaths = await readLockPaths(request);
  const locks = lockPaths.length === 0
    ? undefined
    : await takeLocks({ ...request, lockPaths });
  const wantsCpus = ["cpus", "cpu-list", "llcs"].some((name) =>
    options.flag(name)
  );
  if (!wantsCpus || locks?.skip) return locks;
  if (lockPaths.length > 0 && locks === undefined) return undefined;
  try {
    const { takeCpus } = await import("./take_cpus.ts");
    const spentMs = timeoutMs === 0 ? 0 : performance.now() - start;
    const cpus = await takeCpus({
      ...request,
      timeoutMs: Math.max(0, timeoutMs - spentMs),
    });
    if (cpus === undefined) locks?.lock.release();
    if (cpus === undefined || locks === undefined) return cpus;
    return {
      lock: new LockGroup([locks.lock, cpus.lock]),
      env: { ...locks.env, ...cpus.env },
    };
  } catch (error) {
    locks?.lock.release();
    throw error;
  }
}

function checkOptions({ options, lockPaths, mode }: RunRequest): void {
  const given = WAYS.filter((name) => options.flag(name));
  const [way] = given;
  const kind = options.value("kind") ?? "flock";
  if (given.length > 1) {
    throw new UsageError(`--${given[0]} can't go with --${given[1]}`);
  }
  if (kind !== "flock") {
    throw new UsageError(`--kind ${kind} can't go with this`, {
      hint: "Turns, slots, trees, intervals and CPUs are taken by flock",
    });
  }
  if (options.flag("tree") && lockPaths.length > 0) {
    throw new UsageError("--tree names the lock, so there is no lock file");
  }
  if (way !== undefined && lockPaths.length !== 1 && !options.flag("tree")) {
    throw new UsageError(
      `--${way} needs one ${way === "slots" ? "name" : "lock file"}`,
    );
  }
  if ((way === "slots" || way === "every") && mode === "shared") {
    throw new UsageError(`--shared can't go with --${way}`);
  }
  if (options.flag("want") && way !== "slots") {
    throw new UsageError("--want goes with --slots");
  }
  if (way === "every" && options.flag("max-load")) {
    throw new UsageError("--every can't go with --max-load");
  }
}

async function readLockPaths(request: RunRequest): Promise<readonly string[]> {
  const tree = request.options.value("tree");
  if (tree === undefined) return request.lockPaths;
  const { treeLockPath } = await import("../../../lib/patterns/tree_lock.ts");
  return [await treeLockPath(tree)];
}

async function takeLocks(request: RunRequest): Promise<TakenLock | undefined> {
  const { options, mode } = request;
  const path = request.lockPaths[0]!;
  const env = { HOLDFAST_LOCK: absolutePath(path) };
  if (options.flag("slots")) {
    return await (await import("./take_slots.ts")).takeSlots(request);
  }
  if (options.flag("fair")) {
    const { acquireFair } = await import("../../../lib/patterns/turnstile.ts");
    return await waitByLibrary(request, path, async (waiting) => ({
      lock: await acquireFair(path, { ...waiting, mode }),
      env,
    }));
  }
  const interval = options.value("every");
  if (interval === undefined) return await takeFlock(request);
  const { acquireIfDue } = await import("../../../lib/patterns/debounce.ts");
  const intervalMs = parseDuration(interval);
  return await waitByLibrary(request, path, async (waiting) => {
    const lock = await acquireIfDue(path, { ...waiting, intervalMs });
    return lock === undefined
      ? { lock: NOTHING, env, skip: true as const }
      : { lock, env };
  });
}

/** Held by a command that isn't started. */
const NOTHING: HeldLock = {
  path: "",
  held: false,
  release() {},
  [Symbol.dispose]() {},
};
