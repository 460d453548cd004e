import type {
  ClusterDiagnosis,
  ClusterEngine,
  ClusterLock,
  ClusterLockRequest,
  ClusterLockStatus,
  EngineOptions,
} from "../engine.ts";
import { leaseTimes } from "../lease_rule.ts";
import { checkTimeout } from "../../lock/check.ts";
import { type ClusterUrl, withLockName } from "../url.ts";
import { diagnoseEtcd } from "./diagnosis.ts";
import { Gateway } from "./gateway.ts";
import { EtcdLock } from "./lock.ts";
import { QueuePlace, type QueueRequest, type Turn } from "./queue_place.ts";
import { etcdSettings } from "./settings.ts";
import { listQueues, readQueue } from "./status.ts";

/** setTimeout takes a signed 32-bit number of milliseconds. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Locks in etcd. */
export class EtcdEngine implements ClusterEngine {
  readonly kind = "etcd";
  readonly #url: ClusterUrl;
  readonly #gateway: Gateway;
  readonly #locks = new Set<EtcdLock>();

  /** Connects when it is first asked for something. */
  constructor(url: ClusterUrl, options: EngineOptions = {}) {
    this.#url = withLockName(url, "");
    this.#gateway = new Gateway(etcdSettings(this.#url, options));
  }

  async acquire(
    name: string,
    request: ClusterLockRequest,
  ): Promise<ClusterLock | undefined> {
    const { timeoutMs = Infinity, signal } = request;
    checkTimeout(timeoutMs);
    const queueRequest = this.#queueRequest(name, request);
    const end = new AbortController();
    const stop = () => end.abort(signal?.reason);
    signal?.throwIfAborted();
    signal?.addEventListener("abort", stop);
    const timer = timeoutMs <= MAX_TIMER_MS
      ? setTimeout(() => end.abort(TIME_IS_UP), timeoutMs)
      : undefined;
    try {
      for (;;) {
        const taken = await this.#queue(
          queueRequest,
          timeoutMs === 0,
          signal,
          end.signal,
        );
        if (taken !== "again") return taken;
      }
    } catch (error) {
      if (error === TIME_IS_UP) return undefined;
      throw error;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
    }
  }

  /** Takes a place in the queue and waits there. */
  async #queue(
    request: QueueRequest,
    onlyIfFree: boolean,
    signal: AbortSignal | undefined,
    end: AbortSignal,
  ): Promise<ClusterLock | undefined | "again"> {
    // The deadline is for the wait, not for what it takes to talk to etcd.
    const place = await QueuePlace.open(this.#gateway, request, signal);
    let turn: Turn | undefined;
    try {
      const isMutex = request.slots === 1;
      let look = await place.enter(onlyIfFree && isMutex, signal);
      if (look === undefined) {
        if (!onlyIfFree || await this.#isBusy(request.name)) return undefined;
        look = await place.enter(false, signal);
        if (look === undefined) return "again";
      }
      if (onlyIfFree && !await place.hasTurn(look, signal)) return undefined;
      turn = await place.reachHead(look, onlyIfFree ? NEVER : end);
      if (turn === undefined) return "again";
    } finally {
      if (turn === undefined) await place.leave();
    }
    const lock = new EtcdLock(
      request.path,
      request.name,
      place,
      turn,
      this.#follow(request, () => this.#locks.delete(lock)),
    );
    this.#locks.add(lock);
    return lock;
  }

  /** Only keys of other locks, whose names begin alike, leave it free. */
  async #isBusy(name: string): Promise<boolean> {
    const { holders } = await readQueue(this.#gateway, this.#named(name), name);
    return holders.length > 0;
  }

  #queueRequest(name: string, request: ClusterLockRequest): QueueRequest {
    if (name === "") throw new TypeError("A lock in etcd needs a name");
    if (request.mode === "shared") {
      throw new TypeError(
        "A lock in etcd can't be shared: the queue that etcdctl and others " +
          "stand in has no shared places",
      );
    }
    const { slots = 1, message, onWait, onEvent } = request;
    if (!Number.isSafeInteger(slots) || slots < 1) {
      throw new RangeError(`slots must be 1 or more, got ${slots}`);
    }
    const times = leaseTimes(request);
    return {
      path: this.#named(name),
      name,
      slots,
      times,
      message,
      onWait,
      onEvent,
    };
  }

  #named(name: string): string {
    return withLockName(this.#url, name).text;
  }

  /** Passes changes of the server on while a lock is held. */
  #follow({ onEvent }: QueueRequest, onRelease: () => void): () => void {
    const unfollow = this.#gateway.onFailOver((change) =>
      onEvent?.({ type: "failed-over", ...change })
    );
    return () => {
      unfollow();
      onRelease();
    };
  }

  status(
    name: string,
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<ClusterLockStatus> {
    return readQueue(this.#gateway, this.#named(name), name, options.signal);
  }

  list(
    prefix: string,
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<ClusterLockStatus[]> {
    return listQueues(
      this.#gateway,
      (name) => this.#named(name),
      prefix,
      options.signal,
    );
  }

  diagnose(name = ""): Promise<ClusterDiagnosis> {
    return diagnoseEtcd(this.#gateway, name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#locks].map((lock) => lock.release()));
    this.#gateway[Symbol.dispose]();
  }
}

const TIME_IS_UP = new DOMException("the time is up", "TimeoutError");
const NEVER = new AbortController().signal;
