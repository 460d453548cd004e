import type { ClusterEngine, ClusterLock } from "./engine.ts";
import type { LeaseMoments } from "./lease_rule.ts";

/** A lock that closes its engine when it is released. */
export class OwningLock implements ClusterLock {
  readonly #lock: ClusterLock;
  readonly #engine: ClusterEngine;
  #released: Promise<void> | undefined;

  /** Both are its own from now on. */
  constructor(lock: ClusterLock, engine: ClusterEngine) {
    this.#lock = lock;
    this.#engine = engine;
  }

  get path(): string {
    return this.#lock.path;
  }

  get name(): string {
    return this.#lock.name;
  }

  get key(): string {
    return this.#lock.key;
  }

  get fence(): bigint {
    return this.#lock.fence;
  }

  get slot(): number | undefined {
    return this.#lock.slot;
  }

  get held(): boolean {
    return this.#lock.held;
  }

  get lost(): AbortSignal {
    return this.#lock.lost;
  }

  get moments(): LeaseMoments {
    return this.#lock.moments;
  }

  release(): Promise<void> {
    return this.#released ??= this.#release();
  }

  async #release(): Promise<void> {
    await this.#lock.release();
    await this.#engine[Symbol.asyncDispose]();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }
}
