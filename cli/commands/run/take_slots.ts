/**
 * `run --slots`: N at a time.
 *
 * @module
 */

import { acquireSlots, slotDirectory } from "../../../lib/patterns/slots.ts";
import { readHoldersIfAny } from "../../../lib/inspect/holder.ts";
import { readCount } from "../../args/count.ts";
import type { RunRequest, TakenLock } from "./request.ts";
import { absolutePath } from "../../../lib/sys/path_parts.ts";
import { waitByLibrary } from "./wait_by_library.ts";

/** Takes slots of the name given in place of a lock file. */
export function takeSlots(
  request: RunRequest,
): Promise<TakenLock | undefined> {
  const { options, lockPaths } = request;
  const name = lockPaths[0]!;
  const slots = readCount("slots", options.value("slots")!);
  const want = readCount("want", options.value("want") ?? "1");
  return waitByLibrary(request, name, async (waiting) => {
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
      .flatMap((slot) => readHoldersIfAny(`${directory}/slot.${slot}`));
  });
}
