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
import { isInTheWay } from "../holds.ts";
import { type Convoy, ConvoyWatch } from "./convoy.ts";
import { Distribution, type DurationSummary } from "./distribution.ts";
import { type OpenHold, OpenHolds } from "./open_holds.ts";

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

interface OpenWait {
  activity: LockActivity;
  sinceMs: number;
}

/** Programs that are told apart; the others count as one. */
const MAX_USERS = 100;
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
  readonly #holding = new OpenHolds();
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
        this.#holding.open(activity);
        return;
      case "waiting":
      case "breaking":
        return this.#startWait(activity);
      case "acquired":
        this.#taken++;
        this.#user(activity.process).taken++;
        this.#endWait(activity, true);
        this.#holding.open(activity);
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
    for (const hold of this.#holding.all) {
      if (!blocks(hold, activity)) continue;
      const ms = untilMs - Math.max(sinceMs, hold.sinceMs);
      if (ms > 0) this.#user(hold.process).blockedMs += ms;
    }
  }

  #close(activity: LockActivity): void {
    const { process, timeMs, heldMs } = activity;
    const hold = this.#holding.close(activity);
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

  #user({ command, pid }: TracedProcess): LockUser {
    let user = this.#users.get(command);
    if (user === undefined) {
      const isOther = this.#users.size >= MAX_USERS && command !== OTHERS;
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
      for (const hold of this.#holding.all) {
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
      heldNow: this.#holding.all.length,
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

function blocks(hold: OpenHold, wish: LockActivity): boolean {
  return wish.type === "LEASE" || isInTheWay(hold, { ...wish, owner: NaN });
}
