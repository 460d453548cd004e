import type { LockTable } from "../../../lib/inspect/lock_table.ts";
import { sayUnreadable } from "../../ui/gaps.ts";
import { writeError } from "../../ui/output.ts";
import type { Selection } from "./selection.ts";

/** Says what could not be seen, where that may matter. */
export function reportGaps(table: LockTable, selection: Selection): void {
  const { unreadablePids, unparsedLines } = table;
  if (unreadablePids.length > 0 && !isAnswered(table, selection)) {
    const text = sayUnreadable(
      unreadablePids,
      "holders and paths may be missing",
    );
    writeError(`holdfast locks: ${text}\n`);
  }
  if (unparsedLines > 0) {
    writeError(
      `holdfast locks: ${unparsedLines} lines of /proc could not be ` +
        "understood and are left out\n",
    );
  }
}

/** Whether certain files were asked for, and their holders are all known. */
function isAnswered(
  { locks, waiters }: LockTable,
  { isOfFiles }: Selection,
): boolean {
  return isOfFiles && locks.length + waiters.length > 0 &&
    locks.every(({ holders }) =>
      holders.length > 0 &&
      holders.every(({ process }) => process !== undefined)
    ) && waiters.every(({ process }) => process !== undefined);
}
