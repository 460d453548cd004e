/**
 * `run` on a link lock.
 *
 * @module
 */

import {
  acquireLinkLock,
  formatLinkOwnerLine,
  type LinkLockHandle,
  type LinkLockOptions,
  LinkLockTimeoutError,
  readLinkLockOwner,
} from "../../../lib/acquire/link_lock.ts";
import { LinkLockAttempt } from "../../../lib/lock/link/attempt.ts";
import { quotePath } from "../../../lib/proc/printable.ts";
import { absolutePath } from "../../../lib/sys/path_parts.ts";
import { UsageError } from "../../args/parse.ts";
import { writeError } from "../../ui/output.ts";
import { StatusLine } from "../../ui/terminal.ts";
import type { LinkTarget, RunRequest, TakenLock } from "./request.ts";

/** Takes it. */
export async function takeLink(
  request: RunRequest,
  target: LinkTarget,
): Promise<TakenLock | undefined> {
  const lock = await waitFor(request, target);
  return lock && {
    lock,
    env: {
      HOLDFAST_LOCK: absolutePath(target.path),
      HOLDFAST_FENCE: String(lock.fence),
    },
  };
}

async function waitFor(
  request: RunRequest,
  { path, message, leaseMs }: LinkTarget,
): Promise<LinkLockHandle | undefined> {
  // Whoever sets a lease takes part in leases.
  const options = { message, leaseMs, breakExpired: leaseMs !== undefined };
  const { timeoutMs, allowNested, verbosity, log } = request;
  // The wait is rare: the first attempt is made without preparing for it.
  const first = attemptOn(path, options).try();
  if (first !== undefined) return first;
  const start = performance.now();
  const status = new StatusLine();
  const show = () => status.show(waitLines(path));
  log?.waiting(path);
  if (verbosity === "verbose" && timeoutMs > 0) show();
  const ticks = verbosity === "quiet" ? undefined : setInterval(show, 1000);
  try {
    return await acquireLinkLock(path, { ...options, timeoutMs, allowNested });
  } catch (error) {
    if (!(error instanceof LinkLockTimeoutError)) throw error;
    status.clear();
    if (verbosity !== "quiet") {
      const { message } = new LinkLockTimeoutError(
        path,
        timeoutMs === 0 ? 0 : performance.now() - start,
        error.owner,
      );
      writeError(`holdfast run: ${message}\n`);
    }
    return undefined;
  } finally {
    clearInterval(ticks);
    status.clear();
  }
}

/** What the library says of its arguments is said of the command line. */
function attemptOn(path: string, options: LinkLockOptions): LinkLockAttempt {
  try {
    return new LinkLockAttempt(path, options);
  } catch (error) {
    if (!(error instanceof TypeError || error instanceof RangeError)) {
      throw error;
    }
    throw new UsageError(error.message);
  }
}

function waitLines(path: string): string[] {
  let held = "nobody any more";
  try {
    const owner = readLinkLockOwner(path);
    if (owner !== undefined) held = formatLinkOwnerLine(owner);
  } catch {
    // The wait itself reports what is wrong.
  }
  return [`holdfast: waiting for ${quotePath(path)}, held by`, `  ${held}`];
}
