import { formatHoldersInTheWay } from "../inspect/ancestor_holder.ts";
import type { HolderInfo } from "../inspect/holder.ts";
import { quotePath } from "../proc/printable.ts";
import { heldFor, LockTimeoutError } from "./lock_timeout_error.ts";

/** The error of a lock file that stayed busy until the deadline. */
export function busyLockFile(
  path: string,
  waitedMs: number,
  holders: readonly HolderInfo[],
): LockTimeoutError {
  return new LockTimeoutError(
    `Cannot lock ${quotePath(path)}: it ${heldFor(waitedMs)}; holders:\n` +
      formatHoldersInTheWay(holders).map((line) => `  ${line}`).join("\n"),
    { path, waitedMs, holders },
  );
}
