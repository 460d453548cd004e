import { formatHoldersInTheWay } from "../inspect/ancestor_holder.ts";
import type { HolderInfo } from "../inspect/holder.ts";
import { quotePath } from "../proc/printable.ts";
import { LockError } from "../sys/error.ts";

/** A lock stayed busy until the deadline. */
export class LockTimeoutError extends LockError {
  /** The name of the class. */
  override name = "LockTimeoutError";
  /** The lock file. */
  readonly path: string;
  /** How long the caller waited, in milliseconds. */
  readonly waitedMs: number;
  /** Who held the lock just after the deadline; the message lists them. */
  readonly holders: readonly HolderInfo[];

  /** Made by `acquire` and its relatives. */
  constructor(
    path: string,
    waitedMs: number,
    holders: readonly HolderInfo[],
  ) {
    const waited = waitedMs === 0
      ? "is held by somebody else"
      : `was still held after ${Math.ceil(waitedMs)} ms`;
    super(
      `Cannot lock ${quotePath(path)}: it ${waited}; holders:\n` +
        formatHoldersInTheWay(holders).map((line) => `  ${line}`).join("\n"),
    );
    this.path = path;
    this.waitedMs = waitedMs;
    this.holders = holders;
  }
}
