/**
 * What happened to one lock, added up.
 *
 * @module
 */

import type {
  LockActivity,
  TracedFile,
  TracedProcess,
  TracedType,
} from "../activity.ts";
import { type Claim, isInTheWay } from "../holds.ts";
import { type Convoy, ConvoyWatch } from "./convoy.ts";
import { Distribution, type DurationSummary } from "./distribution.ts";

/** A program's part in what happened to a lock. */
export interface LockUser {
  /** Its command line. */
  command: string;
  /** The last process of it. */
  pid: number;
  /** How often it took the lock. */
  taken: number;
  /** How long it held it, all together, in milliseconds. */
  heldMs: number;
  /** How long others waited while it held it, all together, in milliseconds. */
  blockedMs: number;
  /** How long it waited itself, all together, in milliseconds. */
  waitedMs: number;
}

/** One hold or wait that stands out. */
export interface NotableTime {
  /** Whose. */
  process: TracedProcess;
  /** How long, in milliseconds. */
  ms: number;
  /** When it ended, in milliseconds since 1970. */
  atMs: number;
}

/** What happened to one lock. */
export interface LockReport {
  /** The file. */
  file: TracedFile;
  /** The kind of lock. */
  type: TracedType;
  /** How often it was taken. */
  taken: number;
  /** How often it was refused to somebody who would not wait. */
  refused: number;
  /** How many waits ended without the lock. */
  gaveUp: number;
  /** How many of these because of a deadline, as far as that is told. */
  timedOut: number;
  /** The waits that are over, whatever their end. */
  waits: DurationSummary;
  /** The times it was held, as far as their beginning is known. */
  holds: DurationSummary;
  /** How many hold it at the end. */
  heldNow: number;
  /** How many wait for it at the end. */
  waitingNow: number;
  /** The longest wait that goes on at the end, in milliseconds. */
  longestWaitNowMs: number;
  /** How many waited at once, at most. */
  mostWaiters: number;
  /** The longest time it was held. */
  longestHold: NotableTime | undefined;
  /** The longest wait. */
  longestWait: NotableTime | undefined;
  /** Who used it, those first who made others wait most. */
  users: LockUser[];
  /** Stretches in which somebody always waited, the longest first. */
  convoys: Convoy[];
}

interface OpenHold extends Claim {
  process: TracedProcess;
  sinceMs: number;
}

interface OpenWait {
  activity: LockActivity;
  sinceMs: number;
}

/** Programs that are told apart; the others count as one. */
const MOST_USERS = 100;
const OTHERS = "(others)";
/** Of these, a report names so many. */
const SHOWN_USERS = 5;
const SHOWN_CONVOYS = 3;

/** Adds up what happens to one lock. */
export class LockStats {
  readonly #file: TracedFile;
  readonly #type: TracedType;
  readonly #waits = new Distribution();
  readonly #holds = new Distribution();
  readonly #users = new Map<string, LockUser>();
  readonly #convoys = new ConvoyWatch();
  readonly #openWaits = new Map<string, OpenWait>();
  readonly #openHolds: OpenHold[] = [];
  #taken = 0;
  #refused = 0;
  #gaveUp = 0;
  #timedOut = 0;
  #mostWaiters = 0;
  #longestHold: NotableTime | undefined;
  #longestWait: NotableTime | undefined;

  /** @param first The first thing that happened to it. */
  constructor({ file, type }: LockActivity) {
    this.#file = file;
    this.#type = type;
  }

  /** Takes the next thing that happened to it. */
  add(activity: LockActivity): void {
    switch (activity.event) {
      case "held":
        this.#open(activity);
        return;
      case "waiting":
      case "breaking":
        return this.#startWait(activity);
      case "acquired":
        this.#taken++;
        this.#user(activity.process).taken++;
        this.#endWait(activity, true);
        this.#open(activity);
        return;
      case "broken":
        return this.#endWait(activity, true);
      case "refused":
        this.#refused++;
        return;
      case "gave-up":
        this.#gaveUp++;
        if (activity.reason === "timeout") this.#timedOut++;
        return this.#endWait(activity, false);
      case "released":
        return this.#close(activity);
    }
  }

  #startWait(activity: LockActivity): void {
    const { timeMs, holders } = activity;
    this.#openWaits.set(waitKey(activity), { activity, sinceMs: timeMs });
    const waiting = this.#openWaits.size;
    if (waiting > this.#mostWaiters) this.#mostWaiters = waiting;
    this.#convoys.waiting(timeMs, waiting, holders?.[0]?.process);
  }

  #endWait(activity: LockActivity, granted: boolean): void {
    const { process, timeMs, waitedMs } = activity;
    const key = waitKey(activity);
    const wait = this.#openWaits.get(key);
    this.#openWaits.delete(key);
    if (waitedMs === undefined) return;
    this.#waits.add(waitedMs);
    this.#user(process).waitedMs += waitedMs;
    if (waitedMs > (this.#longestWait?.ms ?? -1)) {
      this.#longestWait = { process, ms: waitedMs, atMs: timeMs };
    }
    if (wait === undefined) return;
    this.#blame(wait, timeMs);
    this.#convoys.ended(timeMs, this.#openWaits.size, granted);
  }

  /** Whoever still holds it has made this one wait until now. */
  #blame({ activity, sinceMs }: OpenWait, untilMs: number): void {
    for (const hold of this.#openHolds) {
      if (!blocks(hold, activity)) continue;
      const ms = untilMs - Math.max(sinceMs, hold.sinceMs);
      if (ms > 0) this.#user(hold.process).blockedMs += ms;
    }
  }

  #open(activity: LockActivity): void {
    const { process, type, mode, startByte, endByte, timeMs } = activity;
    // A record lock that grows is told as a whole.
    const grown = this.#openHolds.findIndex((hold) =>
      hold.process.pid === process.pid && hold.mode === mode &&
      hold.startByte >= startByte && isUpTo(hold.endByte, endByte)
    );
    const sinceMs = grown >= 0 && type !== "FLOCK"
      ? this.#openHolds.splice(grown, 1)[0]!.sinceMs
      : timeMs;
    this.#openHolds.push({
      process,
      type,
      mode,
      owner: undefined,
      startByte,
      endByte,
      sinceMs,
    });
  }

  #close(activity: LockActivity): void {
    const { process, timeMs, heldMs } = activity;
    const hold = this.#takeHold(activity);
    if (hold !== undefined) {
      for (const { activity, sinceMs } of this.#openWaits.values()) {
        if (!blocks(hold, activity)) continue;
        const ms = timeMs - Math.max(sinceMs, hold.sinceMs);
        if (ms > 0) this.#user(hold.process).blockedMs += ms;
      }
    }
    this.#user(process).heldMs += heldMs ?? timeMs - (hold?.sinceMs ?? timeMs);
    if (heldMs === undefined) return;
    this.#holds.add(heldMs);
    if (heldMs > (this.#longestHold?.ms ?? -1)) {
      this.#longestHold = { process, ms: heldMs, atMs: timeMs };
    }
  }

  /** The lock that is given back, or the part of it. */
  #takeHold(activity: LockActivity): OpenHold | undefined {
    const { process, mode, startByte, endByte } = activity;
    const holds = this.#openHolds;
    const isOf = (hold: OpenHold) =>
      hold.process.pid === process.pid && hold.mode === mode;
    let at = holds.findIndex((hold) =>
      isOf(hold) && hold.startByte === startByte && hold.endByte === endByte
    );
    if (at < 0) {
      // A part is given back: the rest is told of when it is.
      const whole = holds.find((hold) =>
        isOf(hold) && hold.startByte <= startByte &&
        isUpTo(endByte, hold.endByte)
      );
      if (whole !== undefined) return whole;
    }
    // The taker has ended, and an ancestor holds it on.
    if (at < 0) at = holds.findIndex((hold) => hold.mode === mode);
    return at < 0 ? undefined : holds.splice(at, 1)[0];
  }

  #user({ command, pid }: TracedProcess): LockUser {
    let user = this.#users.get(command);
    if (user === undefined) {
      const isOther = this.#users.size >= MOST_USERS && command !== OTHERS;
      if (isOther) return this.#user({ command: OTHERS, pid });
      user = {
        command,
        pid,
        taken: 0,
        heldMs: 0,
        blockedMs: 0,
        waitedMs: 0,
      };
      this.#users.set(command, user);
    }
    user.pid = pid;
    return user;
  }

  /** What it comes to, up to a moment. */
  report(untilMs: number): LockReport {
    const users = [...this.#users.values()].map((user) => ({ ...user }));
    const byCommand = new Map(users.map((user) => [user.command, user]));
    let longestWaitNowMs = 0;
    for (const { activity, sinceMs } of this.#openWaits.values()) {
      longestWaitNowMs = Math.max(longestWaitNowMs, untilMs - sinceMs);
      for (const hold of this.#openHolds) {
        const user = byCommand.get(hold.process.command);
        if (user === undefined || !blocks(hold, activity)) continue;
        user.blockedMs += untilMs - Math.max(sinceMs, hold.sinceMs);
      }
    }
    return {
      file: this.#file,
      type: this.#type,
      taken: this.#taken,
      refused: this.#refused,
      gaveUp: this.#gaveUp,
      timedOut: this.#timedOut,
      waits: this.#waits.summary(),
      holds: this.#holds.summary(),
      heldNow: this.#openHolds.length,
      waitingNow: this.#openWaits.size,
      longestWaitNowMs,
      mostWaiters: this.#mostWaiters,
      longestHold: this.#longestHold,
      longestWait: this.#longestWait,
      users: users.sort((a, b) =>
        b.blockedMs - a.blockedMs || b.heldMs - a.heldMs
      ).slice(0, SHOWN_USERS),
      convoys: this.#convoys.report(untilMs).slice(0, SHOWN_CONVOYS),
    };
  }
}

/** A wait is its thread's; of `run`, its process's. */
function waitKey({ process, threadId }: LockActivity): string {
  return `${process.pid}/${threadId}`;
}

/** Whether one end is not after the other; `undefined` is the last of all. */
function isUpTo(end: bigint | undefined, limit: bigint | undefined): boolean {
  return limit === undefined || end !== undefined && end <= limit;
}

function blocks(hold: OpenHold, wish: LockActivity): boolean {
  return wish.type === "LEASE" || isInTheWay(hold, { ...wish, owner: NaN });
}
