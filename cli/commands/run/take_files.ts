/**
 * `run` on lock files: one or several, by any kind of lock of the kernel's.
 *
 * @module
 */

import { flockAttempt } from "../../../lib/acquire/flock_attempt.ts";
import type { HeldLock } from "../../../lib/lock/held_lock.ts";
import { absolutePath } from "../../../lib/sys/path_parts.ts";
import type { FilesTarget, RunRequest, TakenLock } from "./request.ts";
import type { HolderReader } from "./wait_notice.ts";

/** Takes all of the lock files, or none. */
export async function takeFiles(
  request: RunRequest,
  target: FilesTarget,
): Promise<TakenLock | undefined> {
  const free = takeFree(request, target);
  if (free !== undefined && request.allowRemote && !request.command.exec) {
    const { watchLoss } = await import("../../../lib/acquire/loss.ts");
    await watchLoss(free);
  }
  const lock = free ?? await waitFor(request, target);
  const env = { HOLDFAST_LOCK: target.paths.map(absolutePath).join(":") };
  return lock && { lock, env };
}

/** The usual case, for which the engine isn't loaded: one file, and free. */
function takeFree(
  request: RunRequest,
  { paths: [path, second], kind }: FilesTarget,
): HeldLock | undefined {
  if (kind !== "flock" || second !== undefined) return undefined;
  using attempt = flockAttempt(path!, request);
  return attempt.try();
}

async function waitFor(
  request: RunRequest,
  { paths, kind, range }: FilesTarget,
): Promise<HeldLock | undefined> {
  const { acquireAll } = await import("../../../lib/acquire/group.ts");
  const { takeByEngine } = await import("./take_by_engine.ts");
  const { mode } = request;
  const members = paths.map((path) =>
    kind === "posix" || kind === "ofd"
      ? { path, mode, kind, range }
      : { path, mode, kind }
  );
  return takeByEngine(
    request,
    (waiting) => acquireAll(members, waiting),
    kind === "posix" || kind === "ofd"
      ? { holderReader: () => rangeHolderReader(mode, range) }
      : {},
  );
}

/** Record locks are held up by some bytes' holders only. */
async function rangeHolderReader(
  mode: RunRequest["mode"],
  range: FilesTarget["range"],
): Promise<HolderReader> {
  const { readRangeHoldersIfAny } = await import(
    "../../../lib/inspect/range_holders.ts"
  );
  const { rangeToSpan } = await import(
    "../../../lib/lock/record/byte_span.ts"
  );
  const span = rangeToSpan(range);
  return (path) => readRangeHoldersIfAny(path, span, mode);
}
