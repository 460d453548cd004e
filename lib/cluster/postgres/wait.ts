import type { Clock } from "../../wait/clock.ts";
import type { ClusterLockRequest } from "../engine.ts";
import { ClusterUnreachableError } from "../errors.ts";
import type { LeaseTimes } from "../lease_rule.ts";
import type { ClusterUrl } from "../url.ts";
import { watchQueue } from "./queue_watch.ts";
import type { PostgresSession } from "./session.ts";
import type { PostgresSettings } from "./settings.ts";

/** A wait that is under way, as those know it who take part in it. */
export interface PostgresWait {
  /** The lock's URL. */
  readonly url: ClusterUrl;
  /** Its name. */
  readonly name: string;
  /** Where and how to connect. */
  readonly settings: PostgresSettings;
  /** How it is wanted. */
  readonly request: ClusterLockRequest;
  /** The lengths of its lease. */
  readonly times: LeaseTimes;
  /** The time. */
  readonly clock: Clock;
  /** When to give up. */
  readonly deadline: number;
}

/** lock_timeout is a signed 32-bit number of milliseconds. */
const MAX_LOCK_TIMEOUT_MS = 2 ** 31 - 1;
/** The server's own timeout is to come first. */
const DEADLINE_SLACK_MS = 250;
/** A cancelled statement that goes on for so long is left with its session. */
const CANCEL_TIMEOUT_MS = 2000;

/**
 * Runs a statement that waits for a lock.
 *
 * @returns Whether it has got it before the deadline.
 * @throws `signal.reason` when the caller's signal aborts. Whatever it throws,
 * the session is to be closed.
 */
export async function runWait(
  session: PostgresSession,
  statement: string,
  wait: PostgresWait,
): Promise<boolean> {
  for (;;) {
    const outcome = await waitOnce(session, statement, wait);
    if (outcome !== "yielded") return outcome === "got";
  }
}

async function waitOnce(
  session: PostgresSession,
  statement: string,
  wait: PostgresWait,
): Promise<"got" | "timeout" | "yielded"> {
  const { request: { signal, onWait }, clock, deadline } = wait;
  signal?.throwIfAborted();
  const leftMs = deadline - clock.now();
  if (leftMs < 1) return "timeout";
  const timeoutMs = Math.min(Math.ceil(leftMs), MAX_LOCK_TIMEOUT_MS);
  const isEndless = leftMs > MAX_LOCK_TIMEOUT_MS;
  const ended = new AbortController();
  let why: "timeout" | "yielded" | undefined;
  let stopping: Promise<void> | undefined;
  const stop = (reason: "timeout" | "yielded" | undefined) => {
    why ??= reason;
    stopping ??= stopWait(session, ended.signal, clock);
  };
  const onAbort = () => stop(undefined);
  signal?.addEventListener("abort", onAbort, { once: true });
  const timer = isEndless
    ? undefined
    : setTimeout(() => stop("timeout"), timeoutMs + DEADLINE_SLACK_MS);
  const watching = watchQueue({
    ...wait,
    pid: session.pid,
    patienceMs: wait.times.ttlMs,
    signal: ended.signal,
    onWait,
    onInTheWay: () => stop("yielded"),
    onGone: () => void session.close(),
  });
  try {
    await Promise.race([
      session.query(
        `set lock_timeout = ${isEndless ? 0 : timeoutMs}; ${statement}`,
      ),
      // It ends before the wait only by a failure, of the caller's onWait too.
      watching.then(() => new Promise<never>(() => {})),
    ]);
    return "got";
  } catch (error) {
    signal?.throwIfAborted();
    if (why !== undefined) return why;
    const { code, message } = error as { code?: unknown; message?: unknown };
    if (code === "55P03") return "timeout"; // lock_not_available
    if (code === "57014" || code === "40P01") { // cancelled, deadlock_detected
      throw new ClusterUnreachableError(
        wait.url.text,
        `the server has ended the wait for the lock: ${message}`,
      );
    }
    throw error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
    ended.abort();
    await watching.catch(() => {});
    // A cancel on its way would hit the session's next statement.
    if (!session.ended.aborted) await stopping;
  }
}

/** Cancels what a session does; closes it if that has no effect. */
async function stopWait(
  session: PostgresSession,
  ended: AbortSignal,
  clock: Clock,
): Promise<void> {
  const cancelling = session.cancel();
  await clock.sleep(CANCEL_TIMEOUT_MS, ended);
  if (!ended.aborted) await session.close();
  await cancelling;
}
