/**
 * When a lease is renewed, and when its holder must stop: times and nothing
 * else, so that it can be modelled.
 *
 * The server ends a lease no sooner than its length after it has received the
 * last renewal, which is later than the holder sent it. So all times count from
 * the moment *before the last successful renewal was sent*, by the holder's
 * clock alone; the clocks of both are never compared.
 *
 * ```text
 * sent        renew   renew          TERM         KILL       server's end
 *  ├────────────┼───────┼─────────────┼────────────┼──────────────┤ + delay
 *  0                            ttl − margin   + grace           ttl
 * ```
 *
 * @module
 */

/** The lengths of a lease, in milliseconds. */
export interface LeaseTimes {
  /** How long the engine keeps the lock of a holder it doesn't hear from. */
  readonly ttlMs: number;
  /** So long before the end of the lease the holder is told that it is lost. */
  readonly marginMs: number;
  /** So long after that a command still running is killed. */
  readonly graceMs: number;
}

/** What a caller may set; the rest follows from it. */
export type LeaseOptions = {
  -readonly [K in keyof LeaseTimes]?: LeaseTimes[K] | undefined;
};

/** Unless set. */
export const DEFAULT_TTL_MS = 15_000;
/** Below it no margin leaves time to renew. */
export const MIN_TTL_MS = 3_000;
/** A day: what is held longer without a sign of life is no lease. */
export const MAX_TTL_MS = 86_400_000;
/** KILL must come so long before the end: clocks drift, and killing takes time. */
export const SAFETY_MS = 1_000;

/**
 * Completes and checks the lengths of a lease. Unless set, the margin is two
 * fifths of the TTL and the grace two thirds of the margin, as far as the
 * safety allows.
 *
 * @throws {RangeError} when they leave no time to renew, or to kill.
 */
export function leaseTimes(options: LeaseOptions = {}): LeaseTimes {
  const { ttlMs = DEFAULT_TTL_MS } = options;
  if (!(ttlMs >= MIN_TTL_MS && ttlMs <= MAX_TTL_MS)) {
    throw new RangeError(
      `ttlMs must be ${MIN_TTL_MS} to ${MAX_TTL_MS} milliseconds, got ${ttlMs}`,
    );
  }
  const marginMs = options.marginMs ?? Math.max(0.4 * ttlMs, 1.5 * SAFETY_MS);
  const graceMs = options.graceMs ??
    Math.max(0, Math.min(marginMs * 2 / 3, marginMs - 1.25 * SAFETY_MS));
  if (!(graceMs >= 0)) {
    throw new RangeError(`graceMs must be 0 or more, got ${graceMs}`);
  }
  if (!(marginMs > graceMs + SAFETY_MS)) {
    throw new RangeError(
      `marginMs (${marginMs}) must be more than graceMs + ${SAFETY_MS} ` +
        `(${graceMs + SAFETY_MS}), so that a killed command is dead in time`,
    );
  }
  if (!(ttlMs - marginMs >= SAFETY_MS)) {
    throw new RangeError(
      `marginMs (${marginMs}) must leave ${SAFETY_MS} ms of the TTL ` +
        `(${ttlMs}) to renew the lease in`,
    );
  }
  return { ttlMs, marginMs, graceMs };
}

/** Moments by the holder's clock, in milliseconds. */
export interface LeaseMoments {
  /** When the next renewal is due. */
  readonly renewAt: number;
  /** From here on the lock counts as lost, and the command gets TERM. */
  readonly termAt: number;
  /** When a command still running gets KILL. */
  readonly killAt: number;
  /** Before this the server can't give the lock to anybody else. */
  readonly endsAt: number;
}

/**
 * The moments that follow from a grant or renewal that has succeeded.
 *
 * @param sentAt Read from the holder's clock before it was sent.
 * @param times The lengths, with the TTL that the server has granted.
 */
export function leaseMoments(sentAt: number, times: LeaseTimes): LeaseMoments {
  const { ttlMs, marginMs, graceMs } = times;
  const termAt = sentAt + ttlMs - marginMs;
  return {
    renewAt: sentAt + renewalPeriod(times),
    termAt,
    killAt: termAt + graceMs,
    endsAt: sentAt + ttlMs,
  };
}

/** A renewal is due so often, so that two may fail before the lock is lost. */
export function renewalPeriod({ ttlMs, marginMs }: LeaseTimes): number {
  return (ttlMs - marginMs) / 3;
}

/** An attempt to renew is given up after so long, and made elsewhere. */
export function attemptPeriod(times: LeaseTimes): number {
  return renewalPeriod(times) / 2;
}

/** What is to be done with a lease at a moment. */
export type LeaseState = "held" | "renew" | "lost" | "kill";

/** One lease as its holder sees it. A loss is final. */
export class LeaseRule {
  /** Its lengths. */
  readonly times: LeaseTimes;
  #moments: LeaseMoments;
  #lost = false;

  /**
   * @param sentAt The holder's clock before the lease was asked for.
   * @param times Its lengths, with the TTL that the server has granted.
   */
  constructor(sentAt: number, times: LeaseTimes) {
    this.times = times;
    this.#moments = leaseMoments(sentAt, times);
  }

  /** The moments that count now. */
  get moments(): LeaseMoments {
    return this.#moments;
  }

  /**
   * A renewal has succeeded. One that comes after the loss, or was sent before
   * another that has succeeded, changes nothing.
   *
   * @param sentAt The holder's clock before it was sent.
   * @param now The holder's clock when the answer was there.
   */
  renewed(sentAt: number, now: number): void {
    if (this.state(now) === "lost" || this.#lost) return;
    const moments = leaseMoments(sentAt, this.times);
    if (moments.endsAt > this.#moments.endsAt) this.#moments = moments;
  }

  /** The server has said that the lease is gone, or the caller gives it up. */
  lose(): void {
    this.#lost = true;
  }

  /** What is to be done now. */
  state(now: number): LeaseState {
    const { renewAt, termAt, killAt } = this.#moments;
    if (now >= termAt) this.#lost = true;
    if (this.#lost) return now >= killAt ? "kill" : "lost";
    return now >= renewAt ? "renew" : "held";
  }
}
