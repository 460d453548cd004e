/**
 * What is held and waited for at one moment of a trace.
 *
 * @module
 */

import type {
  AlsoHeldLock,
  LockActivity,
  LockEventName,
  LockHolding,
  TracedMode,
  TracedType,
} from "./activity.ts";
import { FileBook, type KnownFile } from "./files.ts";
import {
  type ByteSpan,
  type Hold,
  intersection,
  isInTheWay,
  isWithin,
  overlaps,
  remainders,
  type Wish,
} from "./holds.ts";
import { type KnownProcess, ProcessBook } from "./processes.ts";

/** A thread that waits. */
export interface Wait extends Wish {
  file: KnownFile;
  process: KnownProcess;
  sinceNs: number;
}

/** What an activity is about: a lock or a wish for one. */
export interface ActivitySubject extends ByteSpan {
  type: TracedType;
  mode: TracedMode;
  threadId: number;
}

/** Told of what happens, and of the process as the trace knows it. */
export type ActivitySink = (activity: LockActivity, of: KnownProcess) => void;

interface Orphan {
  process: KnownProcess;
  /** When it ended. */
  atNs: number;
  /** Whether it has closed its files, though that may not be told yet. */
  isGone: boolean;
}

/** The close of a process's files comes that soon after its end, in ns. */
const CLOSING_NS = 300_000;

const NS_PER_MS = 1e6;

/** Keeps the books of files, processes, locks and waits. */
export class LockState {
  /** The processes seen. */
  readonly processes: ProcessBook = new ProcessBook();
  /** The files seen. */
  readonly files: FileBook = new FileBook();
  readonly #waits = new Map<number, Wait>();
  readonly #baseMs: number;
  readonly #onActivity: ActivitySink;
  #orphans: Orphan[] = [];

  /**
   * @param baseMs The time of 0 ns, in milliseconds since 1970.
   * @param onActivity Told all that happens, in order.
   */
  constructor(baseMs: number, onActivity: ActivitySink) {
    this.#baseMs = baseMs;
    this.#onActivity = onActivity;
  }

  /** The waits that go on, by thread. */
  get waits(): ReadonlyMap<number, Readonly<Wait>> {
    return this.#waits;
  }

  /** The locks that are held now. */
  *held(): Generator<Hold> {
    for (const file of this.files.all()) yield* file.holds;
  }

  /** A lock is held from now on. */
  add(hold: Hold): void {
    hold.file.holds.push(hold);
    hold.process.holds.add(hold);
  }

  /** A lock is no longer held, which isn't told to anybody. */
  remove(hold: Hold): void {
    const { holds } = hold.file;
    const at = holds.indexOf(hold);
    if (at >= 0) holds.splice(at, 1);
    hold.process.holds.delete(hold);
  }

  /** Ends the part of a lock that is within a range. */
  cut(hold: Hold, range: ByteSpan, timeNs: number, reason?: string): void {
    if (!overlaps(hold, range)) return;
    if (isWithin(hold, range)) return this.end(hold, timeNs, reason);
    this.end(hold, timeNs, reason, {
      ...hold,
      ...intersection(hold, range),
    });
    for (const piece of remainders(hold, range)) {
      this.add({ ...hold, ...piece });
    }
  }

  /** Ends a lock; `gone` is the part that is told of. */
  end(
    hold: Hold,
    timeNs: number,
    reason?: string,
    gone: Hold = hold,
  ): void {
    this.remove(hold);
    const heldMs = msSince(hold.sinceNs, timeNs);
    this.emit("released", hold.file, gone, hold.process, timeNs, {
      heldMs,
      reason,
    });
  }

  /** A thread begins to wait. */
  startWait(threadId: number, wait: Wait): void {
    wait.file.waiters++;
    this.#waits.set(threadId, wait);
  }

  /** A thread's wait is over, which isn't told to anybody. */
  takeWait(threadId: number): Wait | undefined {
    const wait = this.#waits.get(threadId);
    if (wait === undefined) return undefined;
    this.#waits.delete(threadId);
    wait.file.waiters--;
    return wait;
  }

  /** A thread's wait has ended without the lock, if it was waiting. */
  abandonWait(threadId: number, timeNs: number, reason: string): void {
    const wait = this.takeWait(threadId);
    if (wait === undefined) return;
    const { file, process, sinceNs } = wait;
    this.emit("gave-up", file, { ...wait, threadId }, process, timeNs, {
      waitedMs: msSince(sinceNs, timeNs),
      reason,
      canWait: true,
    });
  }

  /** A process ends; what it held on may live on in an ancestor. */
  orphan(process: KnownProcess, atNs: number): void {
    if (process.holds.size === 0) return;
    this.#orphans.push({ process, atNs, isGone: false });
  }

  /**
   * Ends a batch: gives what the ended still hold to their nearest living
   * ancestors.
   *
   * The event of an end comes before the files are closed, since Linux 6.16
   * milliseconds before. Who was gone at the end of the batch before has been
   * told of with all that it closed.
   */
  adoptOrphans(nowNs: number): void {
    if (this.#orphans.length === 0) return;
    this.#orphans = this.#orphans.filter((orphan) => {
      const { process } = orphan;
      if (process.holds.size === 0) return false;
      if (!orphan.isGone) {
        this.#look(orphan, nowNs);
        return true;
      }
      const heir = this.processes.present(process);
      if (heir === process) return false;
      for (const hold of process.holds) {
        hold.process = heir;
        heir.holds.add(hold);
      }
      process.holds.clear();
      return false;
    });
  }

  /** Whether somebody that ended some time ago is gone. */
  #look(orphan: Orphan, nowNs: number): boolean {
    if (!orphan.isGone && nowNs - orphan.atNs >= CLOSING_NS) {
      orphan.isGone = this.processes.isGone(orphan.process);
      if (orphan.isGone) orphan.process.ended = true;
    }
    return orphan.isGone;
  }

  /** What a process and its ancestors hold on other files. */
  alsoHeld(
    file: KnownFile,
    process: KnownProcess,
    nowNs: number,
  ): AlsoHeldLock[] | undefined {
    let held = collect(undefined, process, process.pid, file);
    for (const id of process.ancestors) {
      held = collect(held, this.processes.find(id), id, file);
    }
    // What a flock(1) took for its shell may be needed before a batch ends.
    for (const orphan of this.#orphans) {
      if (process.ancestors.includes(orphan.process.pid)) continue;
      if (!this.#look(orphan, nowNs)) continue;
      const { pid } = this.processes.present(orphan.process);
      if (pid !== process.pid && !process.ancestors.includes(pid)) continue;
      held = collect(held, orphan.process, pid, file);
    }
    return held;
  }

  /** Who keeps a wish from being granted. */
  inTheWay(file: KnownFile, wish: Wish, nowNs: number): LockHolding[] {
    return this.#holdings(file, nowNs, (hold) => isInTheWay(hold, wish));
  }

  /** Who has a lease on a file. */
  leaseHolders(file: KnownFile, nowNs: number): LockHolding[] {
    return this.#holdings(file, nowNs, ({ type }) => type === "LEASE");
  }

  #holdings(
    file: KnownFile,
    nowNs: number,
    isMeant: (hold: Hold) => boolean,
  ): LockHolding[] {
    return file.holds.filter(isMeant).map(({ process, sinceNs }) => ({
      process: this.processes.present(process),
      heldMs: msSince(sinceNs, nowNs),
    }));
  }

  /** Tells of something that happened. */
  emit(
    event: LockEventName,
    file: KnownFile,
    subject: ActivitySubject,
    process: KnownProcess,
    timeNs: number,
    more?: Partial<LockActivity>,
  ): void {
    const { type, mode, startByte, endByte, threadId } = subject;
    if (file.isWanted === false) return;
    // Always the same shape: there may be a million a second.
    const activity: LockActivity = {
      event,
      timeMs: this.#baseMs + timeNs / NS_PER_MS,
      file,
      type,
      mode,
      startByte,
      endByte,
      process,
      threadId,
      canWait: more?.canWait ?? false,
      waitedMs: more?.waitedMs,
      heldMs: more?.heldMs,
      holders: more?.holders,
      alsoHeld: more?.alsoHeld,
      reason: more?.reason,
    };
    if (file.untold === undefined) this.#onActivity(activity, process);
    else file.untold.push({ activity, process });
  }

  /** Tells what was kept back of a file. */
  tell(file: KnownFile): void {
    const untold = file.untold ?? [];
    file.untold = undefined;
    for (const { activity, process } of untold) {
      this.#onActivity(activity, process);
    }
  }

  /** Forgets a file that nobody asks for. */
  forget(file: KnownFile): void {
    file.untold = undefined;
    for (const hold of file.holds.slice()) this.remove(hold);
    for (const [threadId, wait] of [...this.#waits]) {
      if (wait.file === file) this.takeWait(threadId);
    }
  }
}

/** Milliseconds from one time in nanoseconds to another. */
export function msSince(
  sinceNs: number | undefined,
  nowNs: number,
): number | undefined {
  return sinceNs === undefined ? undefined : (nowNs - sinceNs) / NS_PER_MS;
}

function collect(
  held: AlsoHeldLock[] | undefined,
  process: KnownProcess | undefined,
  holderPid: number,
  except: KnownFile,
): AlsoHeldLock[] | undefined {
  if (process === undefined) return held;
  for (const { file, type, mode, startByte, endByte } of process.holds) {
    if (file === except) continue;
    (held ??= []).push({ file, type, mode, startByte, endByte, holderPid });
  }
  return held;
}
