import { isSignalIgnored } from "../../../lib/sys/process/signals.ts";
import { parseDuration } from "../../args/duration.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** When something that goes on is to end: a time, a signal, or on request. */
export class Ending implements Disposable {
  readonly #controller = new AbortController();
  readonly #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #heard: readonly (typeof SIGNALS[number])[] = [];
  readonly #end = () => this.end();

  /**
   * @param duration After so long; not at all unless given.
   * @param isCommandInCharge Whether signals are a command's affair.
   * @throws {UsageError} for a malformed duration.
   */
  constructor(duration: string | undefined, isCommandInCharge: boolean) {
    if (duration !== undefined) {
      this.#timer = setTimeout(this.#end, parseDuration(duration));
    }
    if (isCommandInCharge) return;
    // As under nohup(1).
    this.#heard = SIGNALS.filter((name) => !isSignalIgnored(name));
    for (const name of this.#heard) Deno.addSignalListener(name, this.#end);
  }

  /** Aborts when it is to end. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Ends it now. */
  end(): void {
    this.#controller.abort();
  }

  /** Stops listening. */
  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    for (const name of this.#heard) Deno.removeSignalListener(name, this.#end);
  }
}
