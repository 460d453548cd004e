/**
 * Lets the library take what isn't a plain lock, and tells the user how it goes.
 *
 * @module
 */

import type { HolderInfo } from "../../../lib/inspect/holder.ts";
import { UsageError } from "../../args/parse.ts";
import { writeError } from "../../ui/output.ts";
import type { RunRequest } from "./request.ts";

/** How the library is to wait on behalf of `run`. */
export interface Waiting {
  timeoutMs: number;
  allowRemote: boolean;
  onWait: () => void;
}

/** What the library throws when something was busy until the deadline. */
const TIMEOUTS = ["LockTimeoutError", "SlotTimeoutError", "CpuTimeoutError"];

/**
 * Has the library take something, says on stderr what is being waited for, and
 * what was in the way when the time is up.
 *
 * @param path What to call it.
 * @param acquire Takes it.
 * @param holders Reads who is in the way; the file's holders unless given.
 * @returns What `acquire` gives; `undefined` when the time was up.
 * @throws {UsageError} when the library finds a number out of range.
 */
export async function waitByLibrary<T>(
  request: RunRequest,
  path: string,
  acquire: (waiting: Waiting) => Promise<T>,
  holders?: () => HolderInfo[],
): Promise<T | undefined> {
  const { timeoutMs, allowRemote, verbosity } = request;
  const { WaitNotice } = await import("./wait_notice.ts");
  using stack = new DisposableStack();
  try {
    return await acquire({
      timeoutMs,
      allowRemote,
      onWait: () => {
        const notice = stack.use(new WaitNotice(path, request, holders));
        if (notice.onTick === undefined) return;
        const timer = setInterval(notice.onTick, 1000);
        stack.defer(() => clearInterval(timer));
      },
    });
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(error.message);
    if (!(error instanceof Error && TIMEOUTS.includes(error.name))) throw error;
    stack.dispose();
    if (verbosity !== "quiet") writeError(`holdfast run: ${error.message}\n`);
    return undefined;
  }
}
