/**
 * Taking an advisory lock for a session of its own, with a fence and a lease.
 *
 * @module
 */

import { checkTimeout } from "../../lock/check.ts";
import type { Clock } from "../../wait/clock.ts";
import type { ClusterLock, ClusterLockRequest } from "../engine.ts";
import { ClusterUnreachableError } from "../errors.ts";
import { type LockIdentity, ownLockIdentity } from "../identity.ts";
import { LeaseKeeper, leaseWaitClock } from "../lease_keeper.ts";
import { type LeaseTimes, leaseTimes } from "../lease_rule.ts";
import { type ClusterUrl, withLockName } from "../url.ts";
import { PostgresLock } from "./lock.ts";
import {
  escapeName,
  formatLabel,
  type LockKeys,
  lockKeys,
} from "./lock_label.ts";
import { forgetfulNote, formatComment } from "./parties.ts";
import {
  PostgresSession,
  SessionEndedError,
  type SessionParameters,
} from "./session.ts";
import type { PostgresSettings } from "./settings.ts";
import { explainRefusal } from "./connect_error.ts";
import { slotUnlock, takeSlot } from "./slots.ts";
import { type PostgresWait, runWait } from "./wait.ts";

/** A server that is back needs some time; asking it more often helps nobody. */
const RETRY_MS = 250;
/** As many advisory locks as one statement should try. */
const MAX_SLOTS = 10_000;

/** Takes a lock; `undefined` when it was busy until the deadline. */
export async function acquireLock(
  url: ClusterUrl,
  settings: PostgresSettings,
  name: string,
  request: ClusterLockRequest,
): Promise<ClusterLock | undefined> {
  const times = leaseTimes(request);
  checkRequest(name, request);
  const clock = leaseWaitClock();
  const acquisition = new Acquisition(await lockKeys(name), {
    url,
    name,
    settings,
    request,
    times,
    clock,
    deadline: clock.now() + (request.timeoutMs ?? Infinity),
  });
  return await acquisition.run();
}

function checkRequest(name: string, request: ClusterLockRequest): void {
  const { slots, mode, timeoutMs = Infinity } = request;
  if (name === "") {
    throw new TypeError("A lock needs a name: postgres://HOST/DATABASE#NAME");
  }
  if (
    slots !== undefined &&
    !(Number.isInteger(slots) && slots >= 1 && slots <= MAX_SLOTS)
  ) {
    throw new RangeError(`slots must be 1 to ${MAX_SLOTS}, got ${slots}`);
  }
  if (slots !== undefined && mode === "shared") {
    throw new TypeError("A lock with slots can't be shared");
  }
  checkTimeout(timeoutMs);
}

class Acquisition {
  readonly #keys: LockKeys;
  readonly #wait: PostgresWait;
  readonly #clock: Clock;
  readonly #path: string;
  readonly #identity: LockIdentity;

  constructor(keys: LockKeys, wait: PostgresWait) {
    this.#keys = keys;
    this.#wait = wait;
    this.#clock = wait.clock;
    this.#path = withLockName(wait.url, wait.name).text;
    this.#identity = ownLockIdentity(wait.request.message);
  }

  async run(): Promise<ClusterLock | undefined> {
    let session = await this.#open();
    for (;;) {
      try {
        const lock = await this.#takeIn(session);
        if (lock === undefined) await session.close();
        return lock;
      } catch (error) {
        await session.close();
        if (!(error instanceof SessionEndedError)) {
          throw explainRefusal(error, this.#wait.url.text);
        }
        // A restarted server has forgotten its queue: this one goes to its end.
        session = await this.#openAgain(error);
      }
    }
  }

  #open(): Promise<PostgresSession> {
    const { name, settings, request, times } = this.#wait;
    const { host, pid } = this.#identity;
    return PostgresSession.open(settings, {
      label: formatLabel(name, host, pid ?? 0),
      parameters: lockParameters(times),
      signal: request.signal,
    });
  }

  /** Goes on trying for as long as a lease would outlive the server. */
  async #openAgain(lost: SessionEndedError): Promise<PostgresSession> {
    const { deadline, times, request: { signal } } = this.#wait;
    const until = this.#clock.now() + times.ttlMs;
    for (;;) {
      await this.#clock.sleep(RETRY_MS, signal);
      signal?.throwIfAborted();
      try {
        return await this.#open();
      } catch (error) {
        if (!(error instanceof ClusterUnreachableError)) throw error;
        if (this.#clock.now() < Math.min(until, deadline)) continue;
        throw new ClusterUnreachableError(
          error.url,
          `${error.reason}; the session that waited there has ended: ` +
            lost.message,
        );
      }
    }
  }

  async #takeIn(session: PostgresSession): Promise<ClusterLock | undefined> {
    const { request: { slots } } = this.#wait;
    if (slots === undefined || slots === 1) {
      if (!await this.#takeMain(session)) return undefined;
      return await this.#hold(session, slots && 0);
    }
    const slot = await takeSlot(
      session,
      this.#keys,
      slots,
      this.#comment(),
      this.#wait,
    );
    return slot === undefined ? undefined : await this.#hold(session, slot);
  }

  async #takeMain(session: PostgresSession): Promise<boolean> {
    const { request: { mode, timeoutMs }, times } = this.#wait;
    const suffix = mode === "shared" ? "_shared" : "";
    const call = `advisory_lock${suffix}(${this.#keys.main})`;
    const [row] = await session.query(
      `select pg_try_${call} as got ${this.#comment()}`,
      times.ttlMs,
    );
    if (row?.got === "t") return true;
    if (timeoutMs === 0) return false;
    const statement = `select pg_${call} ${this.#comment()}`;
    return await runWait(session, statement, this.#wait);
  }

  #comment(): string {
    return formatComment(this.#wait.name, this.#identity);
  }

  /** Makes a lock of a session that has it. */
  async #hold(
    session: PostgresSession,
    slot: number | undefined,
  ): Promise<ClusterLock | undefined> {
    const { name, times, request } = this.#wait;
    const comment = formatComment(name, {
      ...this.#identity,
      since: new Date(),
    });
    const sentAt = this.#clock.now();
    const [row] = await session.query(
      `${fenceStatement(name)} ${comment}`,
      times.ttlMs - times.marginMs,
    );
    const keeper = new LeaseKeeper({
      path: this.#path,
      times,
      sentAt,
      renew: async () => {
        if (session.ended.aborted) return "gone";
        await session.query(`select 1 ${comment}`);
        return "renewed";
      },
      onEvent: request.onEvent,
      clock: this.#clock,
    });
    session.ended.addEventListener("abort", () =>
      keeper.lose(
        `its session at the server has ended: ${session.ended.reason.message}`,
      ), { once: true });
    if (session.ended.aborted) throw session.ended.reason;
    const lock = new PostgresLock({
      session,
      keeper,
      path: this.#path,
      name,
      key: `${this.#keys.main}`,
      fence: BigInt(row!.fence!),
      slot,
      unlock: slot === undefined
        ? "select pg_advisory_unlock_all()"
        : slotUnlock(this.#keys),
    });
    const isOurs = await this.#outwaitForgotten(lock, session.memoryMs);
    if (isOurs && lock.held && !request.signal?.aborted) return lock;
    await lock.release();
    request.signal?.throwIfAborted();
    if (isOurs) {
      throw new SessionEndedError("the lock was lost in the meantime");
    }
    return undefined;
  }

  /**
   * A server that has been restarted has forgotten who held the lock before,
   * and a holder that can't know that yet goes on until its lease is over.
   *
   * @returns Whether that is so before the deadline.
   */
  async #outwaitForgotten(
    lock: ClusterLock,
    memoryMs: number,
  ): Promise<boolean> {
    const { times: { ttlMs }, deadline, request } = this.#wait;
    if (memoryMs >= ttlMs) return true;
    const until = this.#clock.now() + Math.min(ttlMs - memoryMs, ttlMs);
    if (until > deadline) return false;
    const note = forgetfulNote(memoryMs, ttlMs);
    request.onWait?.({ path: this.#path, position: 0, ahead: [], note });
    const stop = AbortSignal.any([
      lock.lost,
      ...(request.signal === undefined ? [] : [request.signal]),
    ]);
    while (!stop.aborted && this.#clock.now() < until) {
      await this.#clock.sleep(until - this.#clock.now(), stop);
    }
    return true;
  }
}

/** With these the server ends the session of a holder that it doesn't hear. */
function lockParameters({ ttlMs }: LeaseTimes): SessionParameters {
  const ttl = Math.ceil(ttlMs);
  const seconds = Math.ceil(ttlMs / 1000);
  return {
    idle_session_timeout: `${ttl}`,
    // What ends a waiter's session whose host is gone. None of these is less
    // than the TTL, or the server would let a lock go before its lease is over.
    client_connection_check_interval: `${Math.ceil(ttl / 3)}`,
    tcp_keepalives_idle: `${seconds}`,
    tcp_keepalives_interval: `${Math.ceil(seconds / 3)}`,
    tcp_keepalives_count: "3",
    tcp_user_timeout: `${ttl}`,
    // The fence of a commit that a crash undoes would be given out again.
    synchronous_commit: "on",
  };
}

/*
 * A transaction that writes nothing leaves no trace in the WAL, so that its
 * number is given out again after a crash: the message is what it writes.
 */
function fenceStatement(name: string): string {
  return "select pg_current_xact_id() as fence, " +
    `pg_logical_emit_message(true, 'holdfast', '${escapeName(name)}')`;
}
