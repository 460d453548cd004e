import type { Clock } from "../../wait/clock.ts";
import type { ClusterLockStatus, ClusterWaitInfo } from "../engine.ts";
import type { ClusterUrl } from "../url.ts";
import { lockStatus, placeInQueue, readAdvisoryLocks } from "./parties.ts";
import { PostgresSession } from "./session.ts";
import type { PostgresSettings } from "./settings.ts";

/** So often a waiter near the front has a look at the queue. */
const WATCH_MS = 3000;
/** Those farther back look the less often, so that all together don't often. */
const NEAR = 4;

/** A wait that is watched, and what is done about what is seen. */
export interface QueueWatchOptions {
  /** The lock's URL. */
  readonly url: ClusterUrl;
  /** Its name. */
  readonly name: string;
  /** Where and how to connect. */
  readonly settings: PostgresSettings;
  /** The server process that waits. */
  readonly pid: number;
  /** The server may be out of reach for so long. */
  readonly patienceMs: number;
  /** Ends the watch. */
  readonly signal: AbortSignal;
  /** The time. */
  readonly clock: Clock;
  /** Called with the place in the queue, and whenever that has changed. */
  readonly onWait: ((info: ClusterWaitInfo) => void) | undefined;
  /** Called when another session waits until the wait's snapshot is gone. */
  readonly onInTheWay: () => void;
  /** Called when the server no longer knows the wait, or can't be reached. */
  readonly onGone: () => void;
}

/**
 * Watches a session that waits for a lock, from outside: it can't be asked
 * anything as long as it waits. Each look is a connection of its own and a
 * short one, because connections are scarce.
 */
export async function watchQueue(options: QueueWatchOptions): Promise<void> {
  const { signal, clock, onWait } = options;
  const report = placeReporter(onWait);
  let missed = 0;
  let failingSince: number | undefined;
  if (onWait === undefined) await clock.sleep(WATCH_MS, signal);
  while (!signal.aborted) {
    const look = await lookAtQueue(options);
    if (signal.aborted) return;
    let pauseMs = WATCH_MS;
    if (look === "unreachable") {
      failingSince ??= clock.now();
      if (clock.now() - failingSince > options.patienceMs) {
        return options.onGone();
      }
    } else if (look !== undefined) {
      failingSince = undefined;
      // It may just have been granted; twice is no accident.
      missed = look.isThere ? 0 : missed + 1;
      if (missed > 1) return options.onGone();
      if (look.isInTheWay) options.onInTheWay();
      if (look.isThere) {
        const position = report(look.status, options.pid);
        pauseMs *= Math.max(1, position / NEAR);
      }
    }
    await clock.sleep(pauseMs, signal);
  }
}

/**
 * Finds a session's place in a queue, and calls `onWait` when it isn't what it
 * last was.
 */
export function placeReporter(
  onWait: QueueWatchOptions["onWait"],
): (status: ClusterLockStatus, pid: number) => number {
  let last: string | undefined;
  return (status, pid) => {
    const { position, ahead } = placeInQueue(status, pid);
    const shown = ahead.map(({ session }) => session).join();
    if (position > 0 && shown !== last) {
      last = shown;
      onWait?.({ path: status.url, position, ahead });
    }
    return position;
  };
}

interface Look {
  readonly status: ClusterLockStatus;
  readonly isThere: boolean;
  readonly isInTheWay: boolean;
}

/** What is seen; `undefined` when the server has refused or broken off. */
async function lookAtQueue(
  { url, name, settings, pid, signal }: QueueWatchOptions,
): Promise<Look | "unreachable" | undefined> {
  try {
    const opened = await PostgresSession.openOrFailures(settings, {
      label: "holdfast",
      signal,
    });
    if (!(opened instanceof PostgresSession)) {
      return opened.every(({ flaw }) => flaw === "unreachable")
        ? "unreachable"
        : undefined;
    }
    await using session = opened;
    const stop = () => void session.close();
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
    const locks = await readAdvisoryLocks(session, settings.connectTimeoutMs);
    const own = locks.filter((lock) => lock.pid === pid);
    return {
      status: await lockStatus(url, name, locks),
      isThere: own.length > 0,
      isInTheWay: own.some(({ isInTheWay }) => isInTheWay),
    };
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    return undefined;
  }
}
