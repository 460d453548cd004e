/**
 * The fencing counter of a link lock, which never goes back.
 *
 * It is kept in two files, of which the one with the lesser counter gives way
 * to the next taking. A rename over a file that is open on the same NFS client
 * is two calls there: a process that is killed between them loses what the file
 * held, but never the greater counter.
 *
 * @module
 */

import { quotePath } from "../../proc/printable.ts";
import { LockError } from "../../sys/error.ts";
import type { LinkNames } from "./names.ts";
import { type LinkLockOwner, MAX_FENCE } from "./owner.ts";
import { settled } from "./settled.ts";
import { explain, readStoredOwner } from "./stored_owner.ts";

/* What this process has seen of the counters of locks, by path: a directory
 * may be restored from a copy that knows less. */
const seen = new Map<string, number>();
const MAX_SEEN = 10_000;

/** A counter that somebody has got. */
export function noteFence(names: LinkNames, fence: number): void {
  const known = seen.get(names.path) ?? 0;
  // What was noted last is forgotten last.
  seen.delete(names.path);
  seen.set(names.path, Math.max(known, fence));
  if (seen.size > MAX_SEEN) seen.delete(seen.keys().next().value!);
}

/**
 * A counter greater than all that are known.
 *
 * @throws {LockError} when there is none.
 */
export function nextFence(names: LinkNames): number {
  const [kept] = readCounters(names);
  const last = Math.max(kept.fence, seen.get(names.path) ?? 0);
  if (last >= MAX_FENCE) {
    throw new LockError(
      `Cannot take link lock ${quotePath(names.given)}: its fencing counter ` +
        `is at its end, ${MAX_FENCE}, which only damage explains; remove ` +
        names.counters.map(quotePath).join(" and "),
    );
  }
  // Above 2^53 not every integer is a number: the next one that is.
  for (let step = 1;; step *= 2) if (last + step > last) return last + step;
}

/**
 * With the lock just linked: makes its counter the last one.
 *
 * @returns `false` when another taking has used that counter meanwhile.
 */
export function commitFence(names: LinkNames, owner: LinkLockOwner): boolean {
  const [kept, other] = readCounters(names);
  if (kept.fence >= owner.fence) return false;
  try {
    // The private name goes and the counter is kept, in one step.
    settled(() => Deno.renameSync(names.candidate(owner.token), other.path));
  } catch (error) {
    // Over NFS: the answer of a rename that was done may have been lost.
    if (readStoredOwner(other.path)?.owner.token !== owner.token) {
      throw explain("keep the counter of link lock", names.given, error);
    }
  }
  noteFence(names, owner.fence);
  return true;
}

interface Counter {
  path: string;
  /** 0 before the first taking. */
  fence: number;
}

/** The two counters, the greater one first. */
function readCounters(names: LinkNames): [Counter, Counter] {
  const [a, b] = names.counters.map((path): Counter => ({
    path,
    fence: readStoredOwner(path)?.owner.fence ?? 0,
  })) as [Counter, Counter];
  return a.fence > b.fence ? [a, b] : [b, a];
}
