/**
 * `run` in turn, now and then, and N at a time.
 *
 * @module
 */

import type { HeldLock } from "../../../lib/lock/held_lock.ts";
import type {
  FairTarget,
  FencedTarget,
  IntervalTarget,
  RunRequest,
  SlotsTarget,
  TakenLock,
} from "./request.ts";
import { takeByEngine } from "./take_by_engine.ts";
import { absolutePath } from "../../../lib/sys/path_parts.ts";

/** Takes a lock that is made of locks. */
export function takePattern(
  request: RunRequest,
  target: FairTarget | FencedTarget | IntervalTarget | SlotsTarget,
): Promise<TakenLock | undefined> {
  switch (target.type) {
    case "fair":
      return takeInTurn(request, target);
    case "interval":
      return takeIfDue(request, target);
    case "fenced":
      return takeFenced(request, target);
    case "slots":
      return takeSlots(request, target);
  }
}

async function takeInTurn(
  request: RunRequest,
  { path }: FairTarget,
): Promise<TakenLock | undefined> {
  const { acquireFair } = await import("../../../lib/patterns/turnstile.ts");
  const { mode } = request;
  const lock = await takeByEngine(
    request,
    (waiting) => acquireFair(path, { ...waiting, mode }),
    // To wait in the line is to wait for the lock.
    { name: path },
  );
  return lock && { lock, env: { HOLDFAST_LOCK: absolutePath(path) } };
}

async function takeIfDue(
  request: RunRequest,
  { path, intervalMs }: IntervalTarget,
): Promise<TakenLock | undefined> {
  const { acquireIfDue } = await import("../../../lib/patterns/debounce.ts");
  const env = { HOLDFAST_LOCK: absolutePath(path) };
  return await takeByEngine(request, async (waiting) => {
    const lock = await acquireIfDue(path, { ...waiting, intervalMs });
    return lock === undefined
      ? { lock: NOTHING, env, skip: true as const }
      : { lock, env };
  });
}

async function takeFenced(
  request: RunRequest,
  { path }: FencedTarget,
): Promise<TakenLock | undefined> {
  const { acquireFenced } = await import("../../../lib/patterns/fence.ts");
  const lock = await takeByEngine(
    request,
    (waiting) => acquireFenced(path, waiting),
  );
  return lock && {
    lock,
    env: {
      HOLDFAST_LOCK: absolutePath(path),
      HOLDFAST_FENCE: String(lock.fence),
    },
  };
}

/** Held by a command that isn't started. */
const NOTHING: HeldLock = {
  path: "",
  held: false,
  release() {},
  [Symbol.dispose]() {},
};

async function takeSlots(
  request: RunRequest,
  { name, slots, want }: SlotsTarget,
): Promise<TakenLock | undefined> {
  const { acquireSlots, slotDirectory } = await import(
    "../../../lib/patterns/slots.ts"
  );
  const holderReader = async () => {
    const { readHoldersIfAny } = await import("../../../lib/inspect/holder.ts");
    const directory = slotDirectory(name);
    return () =>
      Array.from({ length: slots }, (_, slot) => slot)
        .flatMap((slot) => readHoldersIfAny(`${directory}/slot.${slot}`));
  };
  const lock = await takeByEngine(
    request,
    (waiting) => acquireSlots(name, { ...waiting, slots, want }),
    { name, holderReader },
  );
  return lock && {
    lock,
    env: {
      HOLDFAST_LOCK: absolutePath(lock.path),
      HOLDFAST_SLOT: lock.slots.join(","),
    },
  };
}
