import { blockFlock, type FlockHandle, tryFlock } from "../lock/flock/flock.ts";
import { MOMENT_MS } from "../acquire/budget.ts";

/**
 * The lock under which several locks of a directory may be taken and given back
 * again: whoever looks for free ones meanwhile would be misled.
 */
export class ScanLock {
  /** The lock file. */
  readonly path: string;
  #isBusy = false;

  /** Takes nothing yet. */
  constructor(path: string) {
    this.path = path;
  }

  /**
   * Whether it was busy the last time. Nobody holds it longer than it takes to
   * try each lock once, unless a process has been stopped.
   */
  get isBusy(): boolean {
    return this.#isBusy;
  }

  /** Takes it, within a moment; `undefined` when it stays busy. */
  take(): FlockHandle | undefined {
    const lock = tryFlock(this.path) ??
      blockFlock(this.path, { timeoutMs: MOMENT_MS });
    this.#isBusy = lock === undefined;
    return lock;
  }
}
