/**
 * `run --max-load`: a lock and a quiet moment together.
 *
 * @module
 */

import {
  type LoadMinutes,
  LoadTimeoutError,
  readLoadOver,
  waitForLoad,
} from "../../../lib/patterns/load_gate.ts";
import { type Clock, systemClock } from "../../../lib/wait/clock.ts";
import { formatDuration } from "../../args/duration.ts";
import { UsageError } from "../../args/parse.ts";
import { writeError } from "../../ui/output.ts";
import type { RunRequest, TakenLock } from "./request.ts";
import { takeLock } from "./take_lock.ts";
import { StatusLine } from "../../ui/terminal.ts";

/** The highest load to start at. */
export interface LoadLimit {
  /** Tasks, 0 or more. */
  maxLoad: number;
  /** Minutes that the load is averaged over. */
  minutes: LoadMinutes;
}

/** What a test brings along instead of the system's. */
export interface LoadGateSystem {
  /** Takes the lock. */
  takeLock: (request: RunRequest) => Promise<TakenLock | undefined>;
  /** The 1, 5 and 15 minute averages. */
  readLoad?: () => readonly number[];
  /** Milliseconds between readings. */
  intervalMs?: number;
  clock?: Clock;
}

/**
 * Reads `N`, `N,1m`, `N,5m` or `N,15m`.
 *
 * @throws {UsageError} when it is none of these.
 */
export function parseLoadLimit(text: string): LoadLimit {
  const match = /^(\d+(?:\.\d+)?|\.\d+)(?:,(1|5|15)m)?$/.exec(text);
  if (match === null) {
    throw new UsageError(`invalid load: '${text}'`, {
      hint: "Write a load average, and over how long: 2, 1.5,5m, 4,15m",
    });
  }
  const minutes = Number(match[2] ?? 1) as LoadMinutes;
  return { maxLoad: Number(match[1]), minutes };
}

/**
 * Takes the lock and checks the load while holding it. When that is too high,
 * lets the lock go, so that nobody waits for an idle holder, waits for the load
 * and begins again. The timeout covers all of it.
 *
 * @returns The lock; `undefined` when the time was up, which has been said.
 */
export async function takeLockUnderLoad(
  request: RunRequest,
  { maxLoad, minutes }: LoadLimit,
  system: LoadGateSystem = { takeLock },
): Promise<TakenLock | undefined> {
  const { readLoad, intervalMs, clock = systemClock } = system;
  const start = clock.now();
  const timeLeft = () =>
    request.timeoutMs === 0
      ? 0
      : Math.max(0, request.timeoutMs - (clock.now() - start));
  for (;;) {
    const taken = await system.takeLock({
      ...request,
      timeoutMs: timeLeft(),
    });
    if (taken === undefined) return undefined;
    let isQuiet = false;
    try {
      isQuiet = readLoadOver(minutes, readLoad) <= maxLoad;
    } finally {
      if (!isQuiet) taken.lock.release();
    }
    if (isQuiet) return taken;
    using notice = new LoadNotice(request, { maxLoad, minutes });
    try {
      await waitForLoad(maxLoad, {
        minutes,
        readLoad,
        intervalMs,
        clock,
        timeoutMs: timeLeft(),
        onTooHigh: (load) => notice.show(load),
      });
    } catch (error) {
      if (!(error instanceof LoadTimeoutError)) throw error;
      notice[Symbol.dispose]();
      if (request.verbosity !== "quiet") {
        writeError(`holdfast run: ${error.message}\n`);
      }
      return undefined;
    }
  }
}

/** Says what the load is, as `WaitNotice` does who holds a lock. */
class LoadNotice implements Disposable {
  readonly #request: RunRequest;
  readonly #limit: LoadLimit;
  readonly #start = performance.now();
  readonly #status = new StatusLine();

  constructor(request: RunRequest, limit: LoadLimit) {
    this.#request = request;
    this.#limit = limit;
  }

  show(load: number): void {
    const { verbosity, timeoutMs } = this.#request;
    const waitedMs = performance.now() - this.#start;
    if (verbosity === "quiet" || timeoutMs === 0) return;
    if (verbosity !== "verbose" && waitedMs < 1000) return;
    const { maxLoad, minutes } = this.#limit;
    this.#status.show([
      `holdfast: waiting ${formatDuration(waitedMs)} for a load of ` +
      `${maxLoad}, the ${minutes}-minute load is ${load.toFixed(2)}`,
    ]);
  }

  [Symbol.dispose](): void {
    this.#status.clear();
  }
}
