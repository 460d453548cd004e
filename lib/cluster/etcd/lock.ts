import type { ClusterLock } from "../engine.ts";
import type { LeaseMoments } from "../lease_rule.ts";
import type { QueuePlace, Turn } from "./queue_place.ts";

/** A lock held in etcd. */
export class EtcdLock implements ClusterLock {
  readonly path: string;
  readonly name: string;
  readonly fence: bigint;
  readonly slot: number | undefined;
  readonly #place: QueuePlace;
  readonly #unwatch = new AbortController();
  readonly #watched: Promise<void>;
  readonly #onRelease: () => void;
  #released: Promise<void> | undefined;

  /** @param onRelease Called once, when it has been released. */
  constructor(
    path: string,
    name: string,
    place: QueuePlace,
    { fence, slot }: Turn,
    onRelease: () => void,
  ) {
    this.path = path;
    this.name = name;
    this.fence = fence;
    this.slot = slot;
    this.#place = place;
    this.#onRelease = onRelease;
    this.#watched = place.watchOwnKey(fence, this.#unwatch.signal);
  }

  get key(): string {
    return this.#place.key;
  }

  get held(): boolean {
    return this.#released === undefined && this.#place.keeper.held;
  }

  get lost(): AbortSignal {
    return this.#place.keeper.lost;
  }

  get moments(): LeaseMoments {
    return this.#place.keeper.moments;
  }

  release(): Promise<void> {
    return this.#released ??= this.#release();
  }

  async #release(): Promise<void> {
    this.#unwatch.abort();
    await Promise.all([this.#place.leave(), this.#watched]);
    this.#onRelease();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }
}
