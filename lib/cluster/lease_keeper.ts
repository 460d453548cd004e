import { type Clock, systemClock } from "../wait/clock.ts";
import { LeaseLostError } from "./errors.ts";
import type { ClusterLockEvent } from "./engine.ts";
import { leaseClock } from "./lease_clock.ts";
import {
  attemptPeriod,
  type LeaseMoments,
  LeaseRule,
  type LeaseTimes,
  renewalPeriod,
} from "./lease_rule.ts";

/** What one attempt to renew a lease has shown. */
export type Renewal = "renewed" | "gone";

/** What a {@linkcode LeaseKeeper} keeps, and how. */
export interface LeaseKeeperOptions {
  /** The lock's URL, for the error. */
  readonly path: string;
  /** Its lengths, with the TTL that the engine has granted. */
  readonly times: LeaseTimes;
  /** The clock before the lease was asked for. */
  readonly sentAt: number;
  /**
   * Renews it once. What it throws counts as an attempt that may succeed the
   * next time; so does the abort of the signal, which ends it.
   */
  readonly renew: (signal: AbortSignal) => Promise<Renewal>;
  /** Told of renewals and the loss. */
  readonly onEvent?: ((event: ClusterLockEvent) => void) | undefined;
  /** Tests bring their own. */
  readonly clock?: Clock | undefined;
}

/** The clock of leases, to be read and slept by. */
export function leaseWaitClock(): Clock {
  return { now: leaseClock(), sleep: systemClock.sleep };
}

/** A sleep across a suspend is noticed so soon after it. */
const MAX_SLEEP_MS = 1000;

/**
 * Renews a lease until it is told to end, and says when it is lost: by the rule
 * of {@linkcode LeaseRule}, or because the engine says that it is gone.
 *
 * After a loss by time it goes on renewing: a command that is yet to die may be
 * protected a little longer.
 */
export class LeaseKeeper {
  readonly #options: LeaseKeeperOptions;
  readonly #clock: Clock;
  readonly #rule: LeaseRule;
  readonly #lost = new AbortController();
  readonly #ended = new AbortController();
  #onEvent: LeaseKeeperOptions["onEvent"];
  #lastFailure = "";
  #isGone = false;
  #done: Promise<unknown>;

  /** Begins at once. */
  constructor(options: LeaseKeeperOptions) {
    this.#options = options;
    this.#onEvent = options.onEvent;
    this.#clock = options.clock ?? leaseWaitClock();
    this.#rule = new LeaseRule(options.sentAt, options.times);
    this.#done = Promise.all([this.#renewAgain(), this.#watchDeadline()]);
  }

  /** Aborts with a `LeaseLostError` when the lease is lost. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** Whether it is neither lost nor ended. */
  get held(): boolean {
    this.#checkDeadline();
    return !this.#lost.signal.aborted && !this.#ended.signal.aborted;
  }

  /** Whether the engine has said that there is no such lease any more. */
  get isGone(): boolean {
    return this.#isGone;
  }

  /** The moments that count now, by `leaseClock`. */
  get moments(): LeaseMoments {
    return this.#rule.moments;
  }

  /** The engine has said that the lease is gone: a clause that says how. */
  lose(reason: string): void {
    if (this.#lost.signal.aborted || this.#ended.signal.aborted) return;
    this.#rule.lose();
    this.#onEvent?.({ type: "lost", reason });
    const { path, times } = this.#options;
    this.#lost.abort(new LeaseLostError(path, reason, times.graceMs));
  }

  /** Ends renewals; after that nothing is lost any more. */
  async end(): Promise<void> {
    this.#ended.abort();
    await this.#done;
  }

  #checkDeadline(): void {
    if (this.#rule.state(this.#clock.now()) === "held") return;
    const { termAt } = this.#rule.moments;
    if (this.#clock.now() < termAt) return;
    const { ttlMs, marginMs } = this.#options.times;
    const failure = this.#lastFailure === "" ? "" : ` (${this.#lastFailure})`;
    this.lose(
      `its lease of ${seconds(ttlMs)} has not been renewed for ` +
        `${seconds(ttlMs - marginMs)}${failure}`,
    );
  }

  async #watchDeadline(): Promise<void> {
    const { signal } = this.#ended;
    while (!signal.aborted && !this.#lost.signal.aborted) {
      const left = this.#rule.moments.termAt - this.#clock.now();
      if (left > 0) await this.#sleep(left);
      if (!signal.aborted) this.#checkDeadline();
    }
  }

  async #renewAgain(): Promise<void> {
    const attemptMs = attemptPeriod(this.#options.times);
    const { signal } = this.#ended;
    let nextAt = this.#rule.moments.renewAt;
    while (!signal.aborted && !this.#isGone) {
      const sentAt = this.#clock.now();
      if (sentAt < nextAt) {
        await this.#sleep(nextAt - sentAt);
        continue;
      }
      const result = await this.#attempt(attemptMs);
      if (signal.aborted) return;
      const now = this.#clock.now();
      this.#isGone = result === "gone";
      if (result === "renewed") {
        this.#lastFailure = "";
        this.#rule.renewed(sentAt, now);
        const { moments } = this.#rule;
        nextAt = sentAt + renewalPeriod(this.#options.times);
        if (this.held) this.#onEvent?.({ type: "renewed", moments });
      } else {
        // Another endpoint may answer at once; none must be hammered.
        nextAt = Math.max(now + attemptMs / 8, sentAt + attemptMs / 4);
      }
      if (this.#isGone) this.lose("the engine has ended its lease");
    }
  }

  async #attempt(attemptMs: number): Promise<Renewal | undefined> {
    const attempt = new AbortController();
    const stop = () => attempt.abort();
    const { signal } = this.#ended;
    signal.addEventListener("abort", stop);
    try {
      const timeUp = this.#clock.sleep(attemptMs, attempt.signal).then(() => {
        attempt.abort(new DOMException("no answer in time", "TimeoutError"));
        return undefined;
      });
      return await Promise.race([
        this.#options.renew(attempt.signal),
        timeUp,
      ]);
    } catch (error) {
      this.#lastFailure = error instanceof Error ? error.message : `${error}`;
      return undefined;
    } finally {
      signal.removeEventListener("abort", stop);
      attempt.abort();
    }
  }

  #sleep(ms: number): Promise<void> {
    return this.#clock.sleep(
      Math.min(Math.max(ms, 1), MAX_SLEEP_MS),
      this.#ended.signal,
    );
  }
}

function seconds(ms: number): string {
  return `${Math.round(ms / 100) / 10} s`;
}
