/**
 * `run` on flock(2): one lock file or several.
 *
 * @module
 */

import { rejectRemoteFs } from "../../../lib/fs/guard.ts";
import type { HolderInfo } from "../../../lib/inspect/holder.ts";
import {
  type BlockOptions,
  FlockAttempt,
} from "../../../lib/lock/flock/flock.ts";
import type { HeldLock } from "../../../lib/lock/held_lock.ts";
import {
  fileOrder,
  LockGroup,
  releaseAll,
} from "../../../lib/lock/lock_set.ts";
import {
  MAX_REPLACEMENTS,
  replacedTooOften,
} from "../../../lib/lock/named_file.ts";
import type { OpenedLockFile } from "../../../lib/lock/lock_file.ts";
import { isStillNamed } from "../../../lib/sys/file.ts";
import { absolutePath } from "../../../lib/sys/path_parts.ts";
import type { RunRequest, TakenLock } from "./request.ts";

/** One lock file on its way to being locked. */
export interface FileAttempt extends Disposable {
  /** The open file; opens it if need be. */
  readonly file: OpenedLockFile;
  /** Takes the lock if it is free. */
  try(): HeldLock | undefined;
  /** Waits in the kernel for the lock; `undefined` after the timeout. */
  block(
    options: BlockOptions,
  ): HeldLock | undefined | Promise<HeldLock | undefined>;
  /** Who is in the way, where that isn't everybody with a lock on the file. */
  readHolders?(): HolderInfo[];
}

/** Takes all of the lock files, or none. */
export function take(request: RunRequest): Promise<TakenLock | undefined> {
  const { mode, allowRemote } = request;
  const checkFd = allowRemote ? undefined : rejectRemoteFs;
  return takeFiles(
    request,
    (path, pinned) => new FlockAttempt(path, mode, { checkFd, pinned }),
  );
}

/** Takes all of the lock files, or none, by locks of some kind. */
export async function takeFiles(
  request: RunRequest,
  attemptOn: AttemptOn,
): Promise<TakenLock | undefined> {
  const start = performance.now();
  const env = { HOLDFAST_LOCK: request.lockPaths.map(absolutePath).join(":") };
  for (let replaced = 0; replaced < MAX_REPLACEMENTS; replaced++) {
    const left = {
      ...request,
      timeoutMs: request.timeoutMs - (performance.now() - start),
    };
    const locks = await takeOnce(left, attemptOn);
    if (locks === "replaced") continue;
    if (locks === undefined) return undefined;
    const [first] = locks;
    return { lock: locks.length === 1 ? first! : new LockGroup(locks), env };
  }
  throw replacedTooOften(request.lockPaths.join(":"));
}

/** Takes the locks; `replaced` when a file is another by then. */
async function takeOnce(
  request: RunRequest,
  attemptOn: AttemptOn,
): Promise<HeldLock[] | "replaced" | undefined> {
  const start = performance.now();
  const locks: HeldLock[] = [];
  const isGroup = request.lockPaths.length > 1;
  let isTaken = false;
  const files = openInOrder(request, attemptOn);
  try {
    for (const { path, attempt } of files) {
      const stat = isGroup ? attempt.file.stat : undefined;
      const leftMs = request.timeoutMs - (performance.now() - start);
      const lock = attempt.try() ??
        await waitFor(attempt, path, request, Math.max(0, leftMs));
      if (lock === undefined) return undefined;
      locks.push(lock);
      if (stat !== undefined && !isStillNamed(path, stat)) return "replaced";
    }
    isTaken = true;
    return locks;
  } finally {
    if (!isTaken) releaseAll(locks);
    for (const { attempt } of files) attempt[Symbol.dispose]();
  }
}

/** Opens nothing yet; a pinned one locks the file that it opens first. */
type AttemptOn = (path: string, pinned: boolean) => FileAttempt;

interface OpenAttempt {
  path: string;
  attempt: FileAttempt;
}

/**
 * Opens the files, and puts several into the order in which everybody takes
 * them. A file named twice is locked once, for its second lock would wait for its
 * first.
 */
function openInOrder(
  { lockPaths }: RunRequest,
  attemptOn: AttemptOn,
): OpenAttempt[] {
  const attempts = lockPaths.map((path) => ({
    path,
    attempt: attemptOn(path, lockPaths.length > 1),
  }));
  if (attempts.length === 1) return attempts;
  const byFile = new Map<string, OpenAttempt>();
  for (const entry of attempts) {
    const key = fileOrder(entry.attempt.file.stat);
    if (byFile.has(key)) entry.attempt[Symbol.dispose]();
    else byFile.set(key, entry);
  }
  return [...byFile].sort(([a], [b]) => a < b ? -1 : 1)
    .map(([, entry]) => entry);
}

async function waitFor(
  attempt: FileAttempt,
  path: string,
  request: RunRequest,
  timeoutMs: number,
): Promise<HeldLock | undefined> {
  const { WaitNotice } = await import("./wait_notice.ts");
  if (timeoutMs > 0) await request.beforeSleep?.();
  using notice = new WaitNotice(
    path,
    request,
    attempt.readHolders?.bind(attempt),
  );
  const lock = timeoutMs === 0 ? undefined : await attempt.block({
    timeoutMs,
    onTick: notice.onTick,
  });
  if (lock === undefined) notice.sayBusy();
  return lock;
}
