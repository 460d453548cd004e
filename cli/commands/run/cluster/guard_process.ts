/**
 * The process that ends a command in time when its supervisor is frozen or
 * killed: it sleeps in the kernel and wakes for deadlines.
 *
 * @module
 */

import { bootTimeMs } from "../../../../lib/sys/boot_clock.ts";
import { ProcessFamily } from "../../../../lib/sys/process/family.ts";
import { LineReader } from "../../../../lib/sys/pipe.ts";
import {
  ignoreSignal,
  type SignalName,
} from "../../../../lib/sys/process/signals.ts";
import { EXIT } from "../../../ui/exit_codes.ts";

/** What a terminal sends to everybody in its foreground: not meant for it. */
const IGNORED: readonly SignalName[] = [
  "SIGHUP",
  "SIGINT",
  "SIGQUIT",
  "SIGTERM",
  "SIGTSTP",
];

/** poll(2) doesn't count time in suspend, leases do. */
const MAX_SLEEP_MS = 1000;

/** A supervisor that runs does it itself; so long after it, it is frozen. */
const TERM_DELAY_MS = 200;

/** The moments that its supervisor has told it last, by `bootTimeMs`. */
interface Deadlines {
  termAt: number;
  killAt: number;
}

/**
 * Obeys the lines that arrive: `pid N`, the command; `lease LOCK TERM KILL`,
 * when it is to end; `told`, it has been told to; `end`, it has ended. The end
 * of the lines without that is the end of the supervisor, and of the command.
 *
 * @param mark `NAME=value`, a variable that only the command has.
 */
export function runLeaseGuard(fd: number, mark: string): number {
  for (const name of IGNORED) ignoreSignal(name);
  const reader = new LineReader(fd);
  const deadlines = new Map<string, Deadlines>();
  let command = new ProcessFamily(undefined, mark);
  let isStarted = false;
  let isTold = false;
  for (;;) {
    const line = reader.next(sleepTime(deadlines, isTold));
    if (line === null) {
      killUntilGone(command);
      return EXIT.OK;
    }
    const [word, ...values] = line?.split(" ") ?? [];
    switch (word) {
      case "pid":
        command = new ProcessFamily(Number(values[0]), mark);
        isStarted = true;
        break;
      case "lease": {
        const [lock = "", termAt, killAt] = values;
        deadlines.set(lock, {
          termAt: Number(termAt) + TERM_DELAY_MS,
          killAt: Number(killAt),
        });
        break;
      }
      case "told":
        isTold = true;
        break;
      case "end":
        return EXIT.OK;
    }
    const now = bootTimeMs();
    const all = [...deadlines.values()];
    if (all.some(({ killAt }) => now >= killAt)) {
      killAll(command);
    } else if (!isTold && all.some(({ termAt }) => now >= termAt)) {
      // Others are left to KILL, which to look for them might delay.
      command.follow();
      command.askToEnd();
      // A command that isn't there yet is told when it is.
      isTold = isStarted;
    }
  }
}

/**
 * Kills the command and all it has started, those who are known or found at
 * once first: to look at all processes takes a busy machine seconds.
 *
 * @returns How many there were.
 */
function killAll(command: ProcessFamily): number {
  command.follow();
  command.kill();
  const count = command.look();
  command.kill();
  return count;
}

/** So often those that are being killed are looked for. */
const LOOK_MS = 20;
/** Nobody is there any more when nobody has been found for so long. */
const QUIET_MS = 500;

/** Kills the command, which may just be starting, until nobody is left. */
function killUntilGone(command: ProcessFamily): void {
  let lastSeen = bootTimeMs();
  do {
    if (killAll(command) > 0) lastSeen = bootTimeMs();
    sleepThread(LOOK_MS);
  } while (bootTimeMs() < lastSeen + QUIET_MS);
}

function sleepThread(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

function sleepTime(deadlines: Map<string, Deadlines>, isTold: boolean): number {
  if (deadlines.size === 0) return -1;
  const now = bootTimeMs();
  const left = [...deadlines.values()].flatMap(({ termAt, killAt }) => [
    killAt - now,
    ...(isTold ? [] : [termAt - now]),
  ]).filter((ms) => ms > 0);
  return Math.min(MAX_SLEEP_MS, ...left);
}
