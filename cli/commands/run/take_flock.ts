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
import { readLink } from "../../../lib/sys/file.ts";
import type { RunRequest, TakenLock } from "./request.ts";

/** One lock file on its way to being locked. */
export interface FileAttempt extends Disposable {
  /** The open descriptor; opens the file if need be. */
  readonly fd: number;
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
    (path) => new FlockAttempt(path, mode, { checkFd }),
  );
}

/** Takes all of the lock files, or none, by locks of some kind. */
export async function takeFiles(
  request: RunRequest,
  attemptOn: (path: string) => FileAttempt,
): Promise<TakenLock | undefined> {
  const start = performance.now();
  const env = { HOLDFAST_LOCK: request.lockPaths.map(absolutePath).join(":") };
  const locks: HeldLock[] = [];
  for (const { path, attempt } of openInOrder(request, attemptOn)) {
    using ending = attempt;
    const leftMs = request.timeoutMs - (performance.now() - start);
    const lock = ending.try() ??
      await waitFor(ending, path, request, Math.max(0, leftMs));
    if (lock === undefined) {
      releaseAll(locks);
      return undefined;
    }
    locks.push(lock);
  }
  const [first] = locks;
  return { lock: locks.length === 1 ? first! : new LockGroup(locks), env };
}

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
  attemptOn: (path: string) => FileAttempt,
): OpenAttempt[] {
  const attempts = lockPaths.map((path) => ({
    path,
    attempt: attemptOn(path),
  }));
  if (attempts.length === 1) return attempts;
  const byFile = new Map<string, OpenAttempt>();
  for (const entry of attempts) {
    const key = fileOrder(entry.attempt.fd);
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

/** A path as it can be used from any directory. */
export function absolutePath(path: string): string {
  return path.startsWith("/") ? path : `${readLink("/proc/self/cwd")}/${path}`;
}
