/**
 * What either process of a pair does: holds a lock, tries one, races for names.
 *
 * @module
 */

import { tryFlock } from "../../lib/lock/flock/flock.ts";
import type { HeldLock } from "../../lib/lock/held_lock.ts";
import { tryRecordLock } from "../../lib/lock/record/record_lock_attempt.ts";

/** The kinds of lock that are tried against each other. */
export type PairKind = "flock" | "ofd";

/** What a process is told to do. */
export type Order =
  | { do: "take"; kind: PairKind; path: string }
  | { do: "release" }
  | { do: "race"; directory: string; own: string; times: number };

/** What became of it. */
export interface LockAnswer {
  /** Whether the lock was taken. */
  taken?: boolean;
  /** Which names of a race were won, and whether each then had two names. */
  won?: number[];
  /** Names that were won without the kernel's counting a second name. */
  uncounted?: number;
  /** What can't be done here, such as `ENOLCK`. */
  error?: string;
}

/** The locks of one process. */
export class Locks {
  #held: HeldLock[] = [];

  /** Does what it is told, and says what became of it. */
  obey(order: Order): LockAnswer {
    try {
      switch (order.do) {
        case "take":
          return { taken: this.#take(order.kind, order.path) };
        case "release":
          for (const lock of this.#held.splice(0)) lock.release();
          return {};
        case "race":
          return race(order.directory, order.own, order.times);
      }
    } catch (error) {
      return { error: errorName(error) };
    }
  }

  #take(kind: PairKind, path: string): boolean {
    const lock = kind === "flock"
      ? tryFlock(path)
      : tryRecordLock(path, { kind });
    if (lock !== undefined) this.#held.push(lock);
    return lock !== undefined;
  }
}

/** Gives a file of its own one name after the other, where it is the first. */
function race(directory: string, own: string, times: number): LockAnswer {
  const won: number[] = [];
  let uncounted = 0;
  for (let i = 0; i < times; i++) {
    const mine = `${directory}/${own}.${i}`;
    Deno.writeTextFileSync(mine, own);
    try {
      Deno.linkSync(mine, `${directory}/name.${i}`);
      won.push(i);
      if (Deno.statSync(mine).nlink !== 2) uncounted++;
    } catch (error) {
      // sshfs says EPERM of a name that is taken.
      if (
        !(error instanceof Deno.errors.AlreadyExists ||
          error instanceof Deno.errors.PermissionDenied)
      ) throw error;
    }
  }
  return { won, uncounted };
}

function errorName(error: unknown): string {
  if (!(error instanceof Error)) throw error;
  return "code" in error && typeof error.code === "string"
    ? error.code
    : error.message;
}
