/**
 * Makes of the kernel's events what they mean: who took, waits for, was
 * refused and released which lock.
 *
 * @module
 */

import type { ProcLock } from "../proc/proc_locks.ts";
import {
  FL,
  type LeaseLine,
  LOCK_TYPE,
  type LockLine,
  type TraceEvent,
} from "../proc/trace/trace_event.ts";
import { errnoName } from "../sys/errno.ts";
import { FileFilter, type FileFilterOptions } from "./file_filter.ts";
import type { KnownFile } from "./files.ts";
import {
  type Hold,
  isInTheWay,
  isWithin,
  overlaps,
  type Wish,
} from "./holds.ts";
import { listedHolds, typeOf } from "./listed_holds.ts";
import {
  type ActivitySink,
  LockState,
  msSince,
  type Wait,
} from "./lock_state.ts";
import type { KnownProcess } from "./processes.ts";

/** How a tracker is set up. */
export interface TrackerOptions extends FileFilterOptions {
  /** The time of 0 ns, in milliseconds since 1970. */
  baseMs: number;
  /** A process whose locks are not looked at: the tracer's. */
  ownPid: number;
  /** Told all that happens, in order. */
  onActivity: ActivitySink;
  /** The clock by which look-ups are short, in milliseconds. */
  now?: (() => number) | undefined;
}

/**
 * Follows locks through the events of a trace, which must come in order.
 *
 * A wait is that of a thread and ends in what this thread does next; a lock
 * is that of its owner, an open file or a table of open files. What was held
 * before the trace began comes from /proc/locks and has no owner: its release
 * is recognized by the process, or by the next look at /proc/locks.
 */
export class LockTracker {
  /** What is held and waited for. */
  readonly state: LockState;
  /** Whether a lock may be gone of which only /proc/locks can tell. */
  needsCheck = false;
  readonly #options: TrackerOptions;
  readonly #filter: FileFilter;

  /** @param options How it is set up. */
  constructor(options: TrackerOptions) {
    this.#options = options;
    this.state = new LockState(options.baseMs, options.onActivity);
    this.#filter = new FileFilter(this.state, options, options.now);
  }

  /** Takes the next event. */
  feed(event: TraceEvent): void {
    const { state } = this;
    switch (event.event) {
      case "flock":
      case "posix":
        return this.#lock(event);
      case "fork":
        return state.processes.forked(event);
      case "exec":
        return state.processes.executed(event);
      case "exit": {
        const { threadId, timeNs } = event;
        state.processes.exited(event);
        state.abandonWait(threadId, timeNs, "ended");
        const process = state.processes.find(threadId);
        return process && state.orphan(process, timeNs);
      }
      case "signal":
        // Without a handler the call goes on, or the process ends.
        if (!event.handled || event.restarts) return;
        return state.abandonWait(event.threadId, event.timeNs, "interrupted");
      default:
        return this.#lease(event);
    }
  }

  /** Ends a batch of events: what is old is forgotten. */
  endBatch(nowNs: number): void {
    this.state.adoptOrphans(nowNs);
    this.state.processes.sweep(nowNs);
    this.#filter.nextBatch();
  }

  /** Ends the last batch: nothing more can be told later. */
  settle(): void {
    this.#filter.settle();
  }

  /**
   * Compares what it knows with what /proc/locks lists, after all events up to
   * then.
   *
   * @param locks The lines of /proc/locks.
   * @param nowNs When they were read.
   * @param more `hasLost`: whether events are missing: then what isn't listed is
   * gone, else only what was held before the trace is doubted. `meanwhile`: the
   * events while they were read, which the lines may know already.
   */
  reconcile(
    locks: readonly ProcLock[],
    nowNs: number,
    { hasLost = false, meanwhile = [] }: {
      hasLost?: boolean;
      meanwhile?: readonly TraceEvent[];
    } = {},
  ): void {
    const { state } = this;
    this.needsCheck = false;
    const listed = listedHolds(locks, state.files, meanwhile);
    for (const hold of [...state.held()]) {
      if (listed.take(hold)) continue;
      // The end of a lease by a close is told by nothing else.
      const isDoubted = hasLost || hold.owner === undefined ||
        hold.type === "LEASE";
      if (isDoubted) state.end(hold, nowNs, "unseen");
    }
    for (const { file, lock } of listed.rest()) {
      const { pid } = lock;
      if (pid === this.#options.ownPid) continue;
      const process = state.processes.get(pid);
      if (!this.#filter.wants(file, process)) continue;
      const hold: Hold = {
        ...lock,
        file,
        owner: undefined,
        process,
        takerPid: pid,
        threadId: pid,
        sinceNs: undefined,
      };
      state.add(hold);
      state.emit("held", file, hold, process, nowNs);
    }
    if (hasLost) this.#dropWaits(locks);
  }

  /** Waits whose end was lost: /proc/locks no longer lists their process. */
  #dropWaits(locks: readonly ProcLock[]): void {
    const waiting = new Set(
      locks.filter(({ blocked }) => blocked).map(({ pid }) => pid),
    );
    for (const [threadId, { process, type }] of [...this.state.waits]) {
      // OFD waiters are listed without a process, lease breakers not at all.
      if (type === "FLOCK" || type === "POSIX") {
        if (!waiting.has(process.pid)) this.state.takeWait(threadId);
      }
    }
  }

  #lock(event: LockLine): void {
    const { processId, threadId, timeNs } = event;
    if (processId === this.#options.ownPid) return;
    const { state } = this;
    const file = state.files.get(
      event.device,
      event.inodeLow,
      event.inodeHigh,
    );
    if (event.type === LOCK_TYPE.UNLOCK) {
      // A thread that does something else no longer waits.
      if (state.waits.size > 0) {
        state.abandonWait(threadId, timeNs, "interrupted");
      }
      if (file.holds.length > 0) this.#unlock(file, event);
      return;
    }
    const process = state.processes.get(processId);
    if (!this.#filter.wants(file, process)) return;
    const wish: Wish = {
      type: typeOf(event),
      mode: event.type === LOCK_TYPE.READ ? "READ" : "WRITE",
      owner: event.owner,
      startByte: event.startByte,
      endByte: event.endByte,
    };
    if (event.result === 0) this.#grant(file, wish, process, event);
    else if (event.result === 1) this.#wait(file, wish, process, event);
    else this.#refuse(file, wish, process, event);
  }

  #grant(
    file: KnownFile,
    wish: Wish,
    process: KnownProcess,
    { timeNs, threadId, flags }: LockLine,
  ): void {
    const { state } = this;
    const waitedMs = this.#endWait(file, wish, threadId, timeNs);
    let sinceNs: number | undefined = timeNs;
    for (const hold of file.holds.slice()) {
      if (isOwn(hold, wish, process)) {
        if (!overlaps(hold, wish)) continue;
        if (hold.mode !== wish.mode || !isWithin(hold, wish)) {
          state.cut(hold, wish, timeNs, "converted");
          continue;
        }
        if (hold.owner !== undefined) {
          // A second flock of the same open file changes nothing.
          if (wish.type === "FLOCK") return;
          // A range that has grown is told as a whole.
          sinceNs = hold.sinceNs;
        }
        state.remove(hold);
      } else if (isInTheWay(hold, wish)) {
        state.end(hold, timeNs, "unseen");
      }
    }
    const alsoHeld = state.alsoHeld(file, process, timeNs);
    const takerPid = process.pid;
    const hold: Hold = { ...wish, file, process, takerPid, threadId, sinceNs };
    state.add(hold);
    const canWait = (flags & FL.SLEEP) !== 0;
    const more = { waitedMs, alsoHeld, canWait };
    state.emit("acquired", file, hold, process, timeNs, more);
  }

  /** The wait that ends in a grant, in milliseconds. */
  #endWait(
    file: KnownFile,
    wish: Wish,
    threadId: number,
    timeNs: number,
  ): number | undefined {
    const wait = this.state.waits.get(threadId);
    if (wait === undefined) return undefined;
    if (isSameWish(wait, file, wish)) {
      this.state.takeWait(threadId);
      return msSince(wait.sinceNs, timeNs);
    }
    this.state.abandonWait(threadId, timeNs, "interrupted");
    return undefined;
  }

  #wait(
    file: KnownFile,
    wish: Wish,
    process: KnownProcess,
    { timeNs, threadId }: LockLine,
  ): void {
    const { state } = this;
    this.#dropConverted(file, wish, timeNs);
    const before = state.waits.get(threadId);
    if (before !== undefined) {
      // It was woken and others were faster: the wait goes on.
      if (isSameWish(before, file, wish)) return;
      state.abandonWait(threadId, timeNs, "interrupted");
    }
    state.startWait(threadId, { ...wish, file, process, sinceNs: timeNs });
    state.emit("waiting", file, { ...wish, threadId }, process, timeNs, {
      holders: state.inTheWay(file, wish, timeNs),
      alsoHeld: state.alsoHeld(file, process, timeNs),
      canWait: true,
    });
  }

  #refuse(
    file: KnownFile,
    wish: Wish,
    process: KnownProcess,
    { timeNs, threadId, result, flags }: LockLine,
  ): void {
    const { state } = this;
    this.#dropConverted(file, wish, timeNs);
    const reason = errnoName(-result);
    state.abandonWait(threadId, timeNs, reason);
    state.emit("refused", file, { ...wish, threadId }, process, timeNs, {
      holders: state.inTheWay(file, wish, timeNs),
      reason,
      canWait: (flags & FL.SLEEP) !== 0,
    });
  }

  /** flock(2) gives up the old lock before it asks for one of another mode. */
  #dropConverted(file: KnownFile, wish: Wish, timeNs: number): void {
    if (wish.type !== "FLOCK") return;
    const own = ownHold(file, wish);
    if (own !== undefined) this.state.end(own, timeNs, "converted");
  }

  #unlock(file: KnownFile, event: LockLine): void {
    const isFlock = event.event === "flock";
    const { owner, timeNs, processId } = event;
    for (const hold of file.holds.slice()) {
      if (hold.type === "LEASE" || isFlock !== (hold.type === "FLOCK")) {
        continue;
      }
      const isOwner = hold.owner === owner;
      // Of an open file shared by many, anybody may be the one to close it.
      const isProcess = hold.owner === undefined && hold.type !== "OFDLCK" &&
        hold.takerPid === processId;
      if (isOwner || isProcess) this.state.cut(hold, event, timeNs);
      else if (hold.owner === undefined) this.needsCheck = true;
    }
  }

  #lease(event: LeaseLine): void {
    const { state } = this;
    const file = state.files.get(
      event.device,
      event.inodeLow,
      event.inodeHigh,
    );
    const { timeNs, threadId, owner } = event;
    const process = state.processes.get(threadId);
    if (!this.#filter.wants(file, process)) return;
    const wish: Wish = {
      type: "LEASE",
      mode: event.type === LOCK_TYPE.READ ? "READ" : "WRITE",
      owner,
      startByte: 0n,
      endByte: undefined,
    };
    const subject = { ...wish, threadId };
    const own = ownHold(file, wish);
    switch (event.event) {
      case "lease-add": {
        if (own !== undefined) state.end(own, timeNs, "converted");
        const takerPid = process.pid;
        const hold = { ...subject, file, process, takerPid, sinceNs: timeNs };
        state.add(hold);
        state.emit("acquired", file, hold, process, timeNs);
        // Nothing tells whether it was given.
        this.needsCheck = true;
        return;
      }
      case "lease-delete":
        return own && state.end(own, timeNs);
      case "lease-block":
        if (!state.waits.has(threadId)) {
          const wait = { ...wish, file, process, sinceNs: timeNs };
          state.startWait(threadId, wait);
        }
        return state.emit("breaking", file, subject, process, timeNs, {
          holders: state.leaseHolders(file, timeNs),
          canWait: true,
        });
      case "lease-unblock": {
        const waitedMs = msSince(state.takeWait(threadId)?.sinceNs, timeNs);
        this.needsCheck = true;
        return state.emit("broken", file, subject, process, timeNs, {
          waitedMs,
        });
      }
      case "lease-noblock":
        return state.emit("refused", file, subject, process, timeNs, {
          holders: state.leaseHolders(file, timeNs),
          reason: "EAGAIN",
        });
    }
  }
}

function ownHold(file: KnownFile, wish: Wish): Hold | undefined {
  return file.holds.find(({ type, owner }) =>
    type === wish.type && owner === wish.owner
  );
}

function isSameWish(wait: Wait, file: KnownFile, wish: Wish): boolean {
  return wait.file === file && wait.type === wish.type &&
    wait.mode === wish.mode && wait.owner === wish.owner;
}

/** Whether a lock is the wisher's own, or that which /proc/locks told of. */
function isOwn(hold: Hold, wish: Wish, process: KnownProcess): boolean {
  if (hold.type !== wish.type) return false;
  if (hold.owner !== undefined) return hold.owner === wish.owner;
  return hold.takerPid === process.pid && hold.mode === wish.mode;
}
