/**
 * `run` on flock(2): one lock file or several.
 *
 * @module
 */

import { rejectRemoteFs } from "../lib/inspect/fs_filter.ts";
import { FlockAttempt, type FlockHandle } from "../lib/lock/flock.ts";
import type { HeldLock } from "../lib/lock/held_lock.ts";
import { readLink, statFd } from "../lib/sys/file.ts";
import type { RunRequest } from "./run.ts";
import type { TakenLock } from "./take_lock.ts";

/** Takes all of the lock files, or none. */
export async function take(
  request: RunRequest,
): Promise<TakenLock | undefined> {
  const start = performance.now();
  const locks: FlockHandle[] = [];
  for (const { path, attempt } of openInOrder(request)) {
    using ending = attempt;
    const leftMs = request.timeoutMs - (performance.now() - start);
    const lock = ending.try() ??
      await waitFor(ending, path, request, Math.max(0, leftMs));
    if (lock === undefined) {
      for (const taken of locks) taken.release();
      return undefined;
    }
    locks.push(lock);
  }
  const [first] = locks;
  return {
    lock: locks.length === 1 ? first! : new LockGroup(locks),
    env: { HOLDFAST_LOCK: request.lockPaths.map(absolutePath).join(":") },
  };
}

interface OpenAttempt {
  path: string;
  attempt: FlockAttempt;
}

/**
 * Opens the files, and puts several into the one order in which everybody
 * takes them, by device and inode: no two callers then wait for each other.
 * A file named twice is locked once, for its second lock would wait for its
 * first.
 */
function openInOrder(request: RunRequest): OpenAttempt[] {
  const { lockPaths, mode, allowRemote } = request;
  const checkFd = allowRemote ? undefined : rejectRemoteFs;
  const attempts = lockPaths.map((path) => ({
    path,
    attempt: new FlockAttempt(path, mode, { checkFd }),
  }));
  if (attempts.length === 1) return attempts;
  const byFile = new Map<string, OpenAttempt>();
  for (const entry of attempts) {
    const { deviceMajor, deviceMinor, inode } = statFd(entry.attempt.fd);
    const key = [deviceMajor, deviceMinor, inode]
      .map((part) => String(part).padStart(20, "0")).join();
    if (byFile.has(key)) entry.attempt[Symbol.dispose]();
    else byFile.set(key, entry);
  }
  return [...byFile].sort(([a], [b]) => a < b ? -1 : 1)
    .map(([, entry]) => entry);
}

async function waitFor(
  attempt: FlockAttempt,
  path: string,
  request: RunRequest,
  timeoutMs: number,
): Promise<FlockHandle | undefined> {
  const { WaitNotice } = await import("./wait_for_lock.ts");
  using notice = new WaitNotice(path, request);
  const lock = timeoutMs === 0 ? undefined : attempt.block({
    timeoutMs,
    onTick: notice.onTick,
  });
  if (lock === undefined) notice.sayBusy();
  return lock;
}

/** Several locks as one. */
class LockGroup implements HeldLock {
  readonly #locks: readonly FlockHandle[];

  constructor(locks: readonly FlockHandle[]) {
    this.#locks = locks;
  }

  get path(): string {
    return this.#locks.map(({ path }) => path).join(":");
  }

  get held(): boolean {
    return this.#locks.some(({ held }) => held);
  }

  setInheritable(inheritable: boolean): void {
    for (const lock of this.#locks) lock.setInheritable(inheritable);
  }

  release(): void {
    for (const lock of this.#locks) lock.release();
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

/** A path as it can be used from any directory. */
export function absolutePath(path: string): string {
  return path.startsWith("/") ? path : `${readLink("/proc/self/cwd")}/${path}`;
}
