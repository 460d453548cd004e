import {
  resetSignal,
  sendSignal,
  SIGNAL_NUMBERS,
  type SignalName,
} from "../../../../lib/sys/process/signals.ts";
import { EXIT } from "../../../ui/exit_codes.ts";

/** Those of the signals that `run` listens to that don't end a process. */
const HARMLESS: readonly SignalName[] = ["SIGWINCH", "SIGCONT"];

/**
 * A signal that ends a wait in a queue. Its place is given up first: of a
 * process that has just died the others would wait for the end of its lease.
 */
export class Interruption {
  readonly #abort = new AbortController();
  #by: SignalName | undefined;

  /** Ends the wait. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** A signal has come; a second one ends this process at once. */
  note(name: SignalName): void {
    if (HARMLESS.includes(name)) return;
    if (name === "SIGTSTP") return sendSignal(0, "SIGSTOP");
    const isSecond = this.#by !== undefined;
    this.#by = name;
    if (isSecond) this.dieIfAny();
    this.#abort.abort();
  }

  /** Dies of the signal that has come, as this process would have by default. */
  dieIfAny(): void {
    if (this.#by === undefined) return;
    resetSignal(this.#by);
    sendSignal(0, this.#by);
    // The first process of a container outlives it.
    Deno.exit(EXIT.SIGNAL_BASE + SIGNAL_NUMBERS[this.#by]);
  }
}
