/** Events of the kernel, made by hand. */
import type { LockLine } from "../../../lib/proc/trace/trace_event.ts";
import type { LockActivity } from "../../../lib/trace/activity.ts";
import { LockTracker } from "../../../lib/trace/tracker.ts";

/** Above what any process has: kernel.pid_max is at most 2^22. */
export const NO_PID = 5_000_000;

/** Pieces of a lock line; the rest is a flock of a whole file. */
export type LinePieces = Partial<LockLine> & { timeNs: number };

/** A lock line of a thread that is its process. */
export function line(pid: number, pieces: LinePieces): LockLine {
  return {
    event: "flock",
    threadId: NO_PID + pid,
    processId: NO_PID + pid,
    device: 8 << 20 | 1,
    inodeLow: 100,
    inodeHigh: 0,
    owner: pid,
    flags: 128 | 2,
    type: 1,
    startByte: 0n,
    endByte: undefined,
    result: 0,
    ...pieces,
  };
}

/** A tracker, and what it told as `event pid inode …`. */
export class Told {
  readonly activities: LockActivity[] = [];
  readonly tracker: LockTracker = new LockTracker({
    baseMs: 0,
    ownPid: NO_PID + 99,
    onActivity: (activity) => this.activities.push(activity),
  });

  /** What was told since the last call. */
  next(): string[] {
    return this.activities.splice(0).map((activity) => {
      const { event, mode, process, file, startByte, endByte } = activity;
      const words: unknown[] = [event, process.pid - NO_PID, mode, file.inode];
      if (startByte !== 0n || endByte !== undefined) {
        words.push(`${startByte}-${endByte ?? ""}`);
      }
      if (activity.waitedMs !== undefined) {
        words.push(`waited ${activity.waitedMs}`);
      }
      if (activity.heldMs !== undefined) words.push(`held ${activity.heldMs}`);
      if (activity.reason !== undefined) words.push(activity.reason);
      const behind = activity.holders?.map((h) => h.process.pid - NO_PID);
      if (behind !== undefined) words.push(`behind [${behind}]`);
      const also = activity.alsoHeld?.map((held) => held.file.inode);
      if (also !== undefined) words.push(`with [${also}]`);
      return words.join(" ");
    });
  }
}
