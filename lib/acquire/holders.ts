import type { HolderInfo } from "../inspect/holder.ts";
import { type LockPath, toLockPath } from "../lock/lock_path.ts";

/**
 * Everybody with a lock on a file. Inspection is loaded only when there is
 * somebody to name: an uncontended lock shouldn't pay for it.
 */
export async function readHoldersOf(
  path: LockPath | string,
): Promise<HolderInfo[]> {
  const { readHoldersIfAny } = await import("../inspect/holder.ts");
  return readHoldersIfAny(toLockPath(path).absolute);
}
