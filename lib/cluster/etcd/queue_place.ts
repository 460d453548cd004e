import type { ClusterLockEvent, ClusterWaitInfo } from "../engine.ts";
import { formatLockIdentity, ownLockIdentity } from "../identity.ts";
import { LeaseKeeper, leaseWaitClock, type Renewal } from "../lease_keeper.ts";
import {
  attemptPeriod,
  type LeaseTimes,
  renewalPeriod,
} from "../lease_rule.ts";
import { GatewayFailure } from "./failures.ts";
import { type Gateway, pause } from "./gateway.ts";
import { partyOfKey, queueKey, queuePrefix, slotKey } from "./keys.ts";
import { enterQueue, type Look, lookBefore, MAX_TOLD } from "./queue_look.ts";
import { type Deletion, waitForDelete, type WatchTarget } from "./watch.ts";
import {
  rangesOf,
  revisionOf,
  toBase64,
  type TxnRequest,
  type TxnResponse,
} from "./wire.ts";

/** What is queued for, and how. */
export interface QueueRequest {
  /** The lock's URL, for messages. */
  readonly path: string;
  readonly name: string;
  readonly slots: number;
  readonly times: LeaseTimes;
  readonly message: string | undefined;
  readonly onWait: ((info: ClusterWaitInfo) => void) | undefined;
  readonly onEvent: ((event: ClusterLockEvent) => void) | undefined;
}

/** The lock is ours. */
export interface Turn {
  readonly fence: bigint;
  readonly slot: number | undefined;
}

/** A lease and a key in the queue of a lock. */
export class QueuePlace {
  readonly #gateway: Gateway;
  readonly #request: QueueRequest;
  readonly #lease: bigint;
  readonly #keeper: LeaseKeeper;
  #created = 0n;
  #told = "";
  #waits = 0;
  #hasTurn = false;
  #left: Promise<void> | undefined;
  /** The key in the queue. */
  readonly key: string;

  private constructor(
    gateway: Gateway,
    request: QueueRequest,
    lease: bigint,
    times: LeaseTimes,
    sentAt: number,
  ) {
    this.#gateway = gateway;
    this.#request = request;
    this.#lease = lease;
    this.key = queueKey(request.name, lease);
    this.#keeper = new LeaseKeeper({
      path: request.path,
      times,
      sentAt,
      renew: (signal) => this.#renew(signal),
      onEvent: (event) => this.#hasTurn ? request.onEvent?.(event) : undefined,
    });
  }

  /** What keeps the lease alive. */
  get keeper(): LeaseKeeper {
    return this.#keeper;
  }

  /**
   * Grants a lease and, with {@linkcode enter}, gives it a place in the queue.
   * The lease's number is ours, so that a grant whose answer got lost can be
   * asked for again.
   */
  static async open(
    gateway: Gateway,
    request: QueueRequest,
    signal: AbortSignal | undefined,
  ): Promise<QueuePlace> {
    const sentAt = leaseWaitClock().now();
    const lease = randomLease();
    const ttl = Math.ceil(request.times.ttlMs / 1000);
    let granted = ttl;
    try {
      const { TTL } = await gateway.call<{ TTL: string }>("lease/grant", {
        ID: String(lease),
        TTL: String(ttl),
      }, { signal });
      granted = Number(TTL);
    } catch (error) {
      // The first answer was lost, and this is the second attempt.
      if (!isFailure(error, "exists")) throw error;
    }
    // An etcd with a long election timeout grants more than it is asked for.
    const times = { ...request.times, ttlMs: granted * 1000 };
    return new QueuePlace(gateway, request, lease, times, sentAt);
  }

  /**
   * Goes to the end of the queue.
   *
   * @param ifEmpty Only if nobody is there.
   * @returns The queue then; `undefined` when somebody is there.
   */
  async enter(
    ifEmpty: boolean,
    signal: AbortSignal | undefined,
  ): Promise<Look | undefined> {
    const { name, message } = this.#request;
    const look = await enterQueue({
      name,
      key: this.key,
      lease: this.#lease,
      value: formatLockIdentity(ownLockIdentity(message)),
      ifEmpty,
      transact: (request) => this.#transact(request, signal),
    });
    this.#created = BigInt(look?.own?.create_revision ?? 0);
    return look;
  }

  /**
   * Waits until those before this place are gone.
   *
   * @param first What {@linkcode enter} gave.
   * @param signal Ends the wait, which rejects with its reason.
   * @returns `undefined` when the place has been lost and another is to be
   * taken.
   */
  async reachHead(first: Look, signal: AbortSignal): Promise<Turn | undefined> {
    const { slots } = this.#request;
    const lost = this.#keeper.lost;
    const ended = AbortSignal.any([signal, lost]);
    try {
      let look = first.isWhole ? first : await this.#look(ended);
      for (;;) {
        if (look.own === undefined) return undefined;
        if (look.ahead.length < slots) {
          return await this.#takeTurn(look.revision, ended);
        }
        this.#tell(look);
        const deleted = await this.#waitForChange(look, ended);
        ended.throwIfAborted();
        const revision = this.#turnBy(look, deleted);
        if (revision !== undefined) {
          return await this.#takeTurn(revision, ended);
        }
        look = await this.#look(ended);
      }
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      // Whether etcd can be reached shows when another place is taken.
      if (lost.aborted) return undefined;
      throw error;
    }
  }

  /** Whether the turn comes at once, with nobody to wait for. */
  async hasTurn(look: Look, signal: AbortSignal | undefined): Promise<boolean> {
    const { ahead } = look.isWhole ? look : await this.#look(signal);
    return ahead.length < this.#request.slots;
  }

  /**
   * The revision at which the turn came, if that is known without another
   * look: nobody can get in between those who are in the queue, so it came with
   * the end of the only one ahead, if it wasn't the end of this place too.
   */
  #turnBy(
    { ahead, isWhole }: Look,
    deleted: readonly Deletion[],
  ): bigint | undefined {
    if (this.#request.slots > 1 || !isWhole || ahead.length > 1) return;
    if (deleted.some(({ key }) => key === this.key)) return undefined;
    return deleted[0]?.revision;
  }

  async #takeTurn(
    revision: bigint,
    signal: AbortSignal,
  ): Promise<Turn | undefined> {
    const { slots } = this.#request;
    const turn = slots === 1
      ? { fence: revision, slot: undefined }
      : await this.#claimSlot(signal);
    // A process that was frozen has a key that may be gone at any moment.
    if (!this.#keeper.held) return undefined;
    this.#hasTurn = true;
    return turn;
  }

  /**
   * Takes a free slot. Two places can get their turns at one revision, when a
   * lease with several keys ends: so the fence is that of the slot's key.
   */
  async #claimSlot(signal: AbortSignal): Promise<Turn> {
    const { name, slots } = this.#request;
    for (;;) {
      for (let slot = 0; slot < slots; slot++) {
        const key = toBase64(slotKey(name, slot));
        const answer = await this.#transact({
          compare: [{
            target: "CREATE",
            key,
            create_revision: "0",
            result: "EQUAL",
          }],
          success: [{
            request_put: { key, value: "", lease: String(this.#lease) },
          }],
          failure: [{ request_range: { key } }],
        }, signal);
        const isOurs = answer.succeeded ||
          rangesOf(answer)[0]?.[0]?.lease === String(this.#lease);
        if (isOurs) return { fence: revisionOf(answer), slot };
      }
      // Somebody else counts with another number of slots.
      await pause(SLOT_PAUSE_MS, signal);
      signal.throwIfAborted();
    }
  }

  #look(signal: AbortSignal | undefined): Promise<Look> {
    const { name, slots, onWait } = this.#request;
    return lookBefore({
      name,
      key: this.key,
      created: this.#created,
      wantsAll: slots > 1 || onWait !== undefined,
      transact: (request) => this.#transact(request, signal),
    });
  }

  #tell({ ahead, isWhole }: Look): void {
    const state = ahead.map(({ key }) => key).join();
    if (!isWhole || state === this.#told) return;
    this.#told = state;
    this.#request.onWait?.({
      path: this.#request.path,
      position: ahead.length - this.#request.slots + 1,
      ahead: ahead.slice(0, MAX_TOLD).map(partyOfKey),
    });
  }

  async #waitForChange(
    look: Look,
    signal: AbortSignal,
  ): Promise<readonly Deletion[]> {
    const { name, slots, times } = this.#request;
    const nearest = look.ahead.at(-1)!;
    // For the case that the stream is silent and nothing else has noticed.
    const again = new AbortController();
    // The first time, it makes ready what is to be quick when the turn comes.
    const timer = setTimeout(
      () => again.abort(),
      this.#waits++ === 0 ? WARM_UP_MS : renewalPeriod(times),
    );
    const before = queueKey(name, BigInt(nearest.lease ?? 0));
    const targets: WatchTarget[] = slots > 1
      ? [{ prefix: queuePrefix(name) }]
      : look.ahead.length === 1
      ? [{ keys: [before, this.key] }]
      // Most of a long queue has no use for what happens between the two.
      : [{ keys: [before] }, { keys: [this.key] }];
    try {
      return await waitForDelete(
        this.#gateway,
        targets,
        look.revision + 1n,
        AbortSignal.any([signal, again.signal]),
      );
    } finally {
      clearTimeout(timer);
    }
  }

  /** Watches the key while the lock is held: its end is the lock's loss. */
  async watchOwnKey(fence: bigint, signal: AbortSignal): Promise<void> {
    let revision = fence;
    // Whoever has waited for the lock is in a hurry.
    await pause(0, signal);
    while (!signal.aborted) {
      try {
        await waitForDelete(
          this.#gateway,
          [{ keys: [this.key] }],
          revision + 1n,
          signal,
        );
        if (signal.aborted) return;
        const answer = await this.#transact({
          success: [{ request_range: { key: toBase64(this.key) } }],
        }, signal);
        if (rangesOf(answer)[0]?.length === 0) {
          return this.#keeper.lose(
            "etcd has deleted its key: the lease was revoked or has run out",
          );
        }
        revision = revisionOf(answer);
      } catch {
        // The lease's own deadline says when that is the loss of the lock.
        await pause(WATCH_PAUSE_MS, signal);
      }
    }
  }

  /** Gives the place up, held or not. */
  leave(): Promise<void> {
    return this.#left ??= this.#leave();
  }

  async #leave(): Promise<void> {
    const left = this.#keeper.moments.endsAt - leaseWaitClock().now();
    await this.#keeper.end();
    await revokeQuietly(
      this.#gateway,
      this.#lease,
      Math.min(Math.max(left, 0), MAX_LEAVE_MS),
    );
  }

  async #renew(signal: AbortSignal): Promise<Renewal> {
    const { result } = await this.#gateway.call<
      { result?: { TTL?: string } }
    >("lease/keepalive", { ID: String(this.#lease) }, {
      signal,
      attemptMs: attemptPeriod(this.#request.times),
      patienceMs: Infinity,
    });
    return result?.TTL === undefined ? "gone" : "renewed";
  }

  #transact(
    request: TxnRequest,
    signal: AbortSignal | undefined,
  ): Promise<TxnResponse> {
    const patienceMs = this.#created === 0n ? undefined : Infinity;
    return this.#gateway.call("kv/txn", request, {
      signal,
      ...(patienceMs === undefined ? {} : { patienceMs }),
    });
  }
}

/** A release that can't be made in so long is left to the end of the lease. */
const MAX_LEAVE_MS = 5000;
/** After so long nobody notices that a waiter looks at the queue once more. */
const WARM_UP_MS = 100;
const SLOT_PAUSE_MS = 100;
const WATCH_PAUSE_MS = 500;

function isFailure(error: unknown, kind: GatewayFailure["kind"]): boolean {
  return error instanceof GatewayFailure && error.kind === kind;
}

/** A lease's number: positive in 64 bits; 0 lets etcd choose. */
function randomLease(): bigint {
  const [random] = crypto.getRandomValues(new BigUint64Array(1));
  return BigInt.asUintN(62, random!) | 1n;
}

/** Ends a lease; if that can't be done now, it ends by itself. */
async function revokeQuietly(
  gateway: Gateway,
  lease: bigint,
  patienceMs: number,
): Promise<void> {
  try {
    await gateway.call("lease/revoke", { ID: String(lease) }, {
      signal: AbortSignal.timeout(patienceMs + gateway.settings.attemptMs),
      patienceMs,
    });
  } catch {
    // Gone already, or out of reach.
  }
}
