import type { ClusterLock } from "../engine.ts";
import type { LeaseKeeper } from "../lease_keeper.ts";
import type { LeaseMoments } from "../lease_rule.ts";
import type { PostgresSession } from "./session.ts";

/** An unlock that isn't answered in time is left to the end of the session. */
const UNLOCK_TIMEOUT_MS = 2000;

/** What a {@linkcode PostgresLock} is made of. */
export interface PostgresLockParts {
  /** The session that holds it, and nothing else. */
  readonly session: PostgresSession;
  /** Renews it. */
  readonly keeper: LeaseKeeper;
  /** Its URL. */
  readonly path: string;
  /** Its name. */
  readonly name: string;
  /** Its advisory key, in decimal. */
  readonly key: string;
  /** Its fence. */
  readonly fence: bigint;
  /** Its slot. */
  readonly slot: number | undefined;
  /** What gives it up. */
  readonly unlock: string;
}

/** An advisory lock in hand, and the session it lives in. */
export class PostgresLock implements ClusterLock {
  readonly path: string;
  readonly name: string;
  readonly key: string;
  readonly fence: bigint;
  readonly slot: number | undefined;
  readonly #session: PostgresSession;
  readonly #keeper: LeaseKeeper;
  readonly #unlock: string;
  #released: Promise<void> | undefined;

  constructor(parts: PostgresLockParts) {
    this.path = parts.path;
    this.name = parts.name;
    this.key = parts.key;
    this.fence = parts.fence;
    this.slot = parts.slot;
    this.#session = parts.session;
    this.#keeper = parts.keeper;
    this.#unlock = parts.unlock;
  }

  get held(): boolean {
    return this.#released === undefined && this.#keeper.held;
  }

  get lost(): AbortSignal {
    return this.#keeper.lost;
  }

  get moments(): LeaseMoments {
    return this.#keeper.moments;
  }

  release(): Promise<void> {
    return this.#released ??= this.#giveUp();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }

  async #giveUp(): Promise<void> {
    await this.#keeper.end();
    // The end of the session would unlock too, but nobody would know when.
    await this.#session.query(this.#unlock, UNLOCK_TIMEOUT_MS).catch(() => {});
    await this.#session.close();
  }
}
