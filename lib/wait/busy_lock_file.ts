import { formatHoldersInTheWay } from "../inspect/ancestor_holder.ts";
import type { HolderInfo } from "../inspect/holder.ts";
import { quotePath } from "../proc/printable.ts";
import { LockTimeoutError } from "./lock_timeout_error.ts";

/** The error of a lock file that stayed busy until the deadline. */
export function busyLockFile(
  path: string,
  waitedMs: number,
  holders: readonly HolderInfo[],
): LockTimeoutError {
  const waited = waitedMs === 0
    ? "is held by somebody else"
    : `was still held after ${Math.ceil(waitedMs)} ms`;
  return new LockTimeoutError(
    `Cannot lock ${quotePath(path)}: it ${waited}; holders:\n` +
      formatHoldersInTheWay(holders).map((line) => `  ${line}`).join("\n"),
    { path, waitedMs, holders },
  );
}
