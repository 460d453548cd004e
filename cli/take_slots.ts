/**
 * `run --slots`: N at a time.
 *
 * @module
 */

import { acquireSlots, slotDirectory } from "../lib/coord/slots.ts";
import { readHolders } from "../lib/inspect/holder.ts";
import { UsageError } from "./options.ts";
import type { RunRequest } from "./run.ts";
import { waitFor } from "./take_coordinated.ts";
import { absolutePath } from "./take_flock.ts";
import type { TakenLock } from "./take_lock.ts";

/** Takes slots of the name given in place of a lock file. */
export function takeSlots(
  request: RunRequest,
): Promise<TakenLock | undefined> {
  const { options, lockPaths } = request;
  const name = lockPaths[0]!;
  const slots = readCount("slots", options.value("slots")!);
  const want = readCount("want", options.value("want") ?? "1");
  return waitFor(request, name, async (waiting) => {
    const lock = await acquireSlots(name, { ...waiting, slots, want });
    return {
      lock,
      env: {
        HOLDFAST_LOCK: absolutePath(lock.path),
        HOLDFAST_SLOT: lock.slots.join(","),
      },
    };
  }, () => {
    const directory = slotDirectory(name);
    return Array.from({ length: slots }, (_, slot) => slot)
      .flatMap((slot) => readHolders(`${directory}/slot.${slot}`));
  });
}

/**
 * Reads a number of things.
 *
 * @throws {UsageError} when it isn't one.
 */
export function readCount(option: string, text: string): number {
  if (/^\d{1,6}$/.test(text)) return Number(text);
  throw new UsageError(`invalid number for --${option}: '${text}'`);
}
