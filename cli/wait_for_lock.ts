import type { HolderInfo } from "../lib/inspect/holder.ts";
import { readHolders } from "../lib/inspect/holder.ts";
import { rejectRemoteFs } from "../lib/inspect/fs_filter.ts";
import { blockFlock, type FlockHandle } from "../lib/lock/flock.ts";
import { quotePath } from "../lib/proc/printable.ts";
import { LockTimeoutError } from "../lib/wait/lock_timeout_error.ts";
import { formatDuration } from "./duration.ts";
import type { RunRequest } from "./run.ts";
import { StatusLine } from "./terminal.ts";

/**
 * Waits for a busy flock, asleep in the kernel, and shows on stderr who holds
 * it: at once with `--verbose`, else after a second; refreshed every second on
 * a terminal, one line in a pipe.
 *
 * A signal meanwhile has its usual effect and ends the process: there is no
 * command yet that it could have to reach.
 *
 * @returns The lock, or `undefined` when the time was up, which has been said.
 */
export function waitForFlock(request: RunRequest): FlockHandle | undefined {
  const { lockPath, timeoutMs, verbosity } = request;
  const start = performance.now();
  const status = new StatusLine();
  const show = () => {
    const waitedMs = performance.now() - start;
    status.show(waitingText(lockPath, waitedMs, readHolders(lockPath)));
  };
  if (verbosity === "verbose" && timeoutMs > 0) show();
  let lock: FlockHandle | undefined;
  try {
    lock = timeoutMs === 0 ? undefined : blockFlock(lockPath, request.mode, {
      timeoutMs,
      checkFd: request.allowRemote ? undefined : rejectRemoteFs,
      onTick: verbosity === "quiet" ? undefined : show,
    });
  } finally {
    status.clear();
  }
  if (lock === undefined && verbosity !== "quiet") {
    const waitedMs = timeoutMs === 0 ? 0 : performance.now() - start;
    const { message } = new LockTimeoutError(
      lockPath,
      waitedMs,
      readHolders(lockPath),
    );
    console.error(`holdfast run: ${message}`);
  }
  return lock;
}

function waitingText(
  path: string,
  waitedMs: number,
  holders: readonly HolderInfo[],
): string[] {
  return [];
}
