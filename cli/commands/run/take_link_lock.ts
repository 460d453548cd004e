/**
 * `run` on a link lock.
 *
 * @module
 */

import {
  acquireLinkLock,
  formatLinkOwnerLine,
  type LinkLock,
  LinkLockAttempt,
  LinkLockTimeoutError,
  readLinkLockOwner,
} from "../../../lib/acquire/link.ts";
import { quotePath } from "../../../lib/proc/printable.ts";
import { parseDuration } from "../../args/duration.ts";
import { UsageError } from "../../args/parse.ts";
import { writeError } from "../../ui/output.ts";
import type { RunRequest, TakenLock } from "./request.ts";
import { absolutePath } from "../../../lib/sys/path_parts.ts";
import { StatusLine } from "../../ui/terminal.ts";

/** Takes the one lock. */
export async function take(
  request: RunRequest,
): Promise<TakenLock | undefined> {
  const [path, ...more] = request.lockPaths;
  if (path === undefined) throw new UsageError("missing lock file");
  if (more.length > 0) {
    throw new UsageError("--kind link takes one lock file", {
      hint: "Nest one holdfast run in another for several",
    });
  }
  if (request.mode === "shared") {
    throw new UsageError("a link lock can't be shared");
  }
  const lease = request.options.value("lease");
  const lock = await waitFor(path, request, {
    message: request.options.value("message"),
    leaseMs: lease === undefined ? undefined : readLease(lease),
    // Whoever sets a lease takes part in leases.
    breakExpired: lease !== undefined,
  });
  if (lock === undefined) return undefined;
  return {
    lock,
    env: {
      HOLDFAST_LOCK: absolutePath(path),
      HOLDFAST_FENCE: String(lock.fence),
    },
  };
}

interface TakeOptions {
  message: string | undefined;
  leaseMs: number | undefined;
  breakExpired: boolean;
}

function readLease(text: string): number {
  const ms = parseDuration(text);
  if (ms >= 1000) return ms;
  throw new UsageError(`invalid lease: '${text}' (at least 1s)`);
}

async function waitFor(
  path: string,
  request: RunRequest,
  options: TakeOptions,
): Promise<LinkLock | undefined> {
  const { timeoutMs, verbosity, log } = request;
  // The wait is rare: the first attempt is made without preparing for it.
  const first = new LinkLockAttempt(path, options).try();
  if (first !== undefined) return first;
  const start = performance.now();
  const status = new StatusLine();
  const show = () => status.show(waitLines(path));
  log?.waiting(path);
  if (verbosity === "verbose" && timeoutMs > 0) show();
  const ticks = verbosity === "quiet" ? undefined : setInterval(show, 1000);
  try {
    return await acquireLinkLock(path, { ...options, timeoutMs });
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
