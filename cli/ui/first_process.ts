/**
 * What the first process of a pid namespace has to do itself: the kernel
 * spares it every signal that it hasn't asked for; see pid_namespaces(7).
 *
 * @module
 */

import {
  ignoreSignal,
  isSignalIgnored,
  SIGNAL_NUMBERS,
  type SignalName,
} from "../../lib/sys/process/signals.ts";
import { EXIT } from "./exit_codes.ts";

const ENDING = [
  "SIGHUP",
  "SIGINT",
  "SIGQUIT",
  "SIGTERM",
  "SIGUSR1",
  "SIGUSR2",
] as const satisfies readonly SignalName[];

/**
 * Ends this process at the signals that end any other, with the exit code that
 * a shell would give it.
 *
 * @returns Leaves them to others again.
 */
export function endBySignals(): Disposable {
  const ignored = ENDING.filter(isSignalIgnored);
  const listeners = ENDING.filter((name) => !ignored.includes(name))
    .map((name) => ({
      name,
      end: () => Deno.exit(EXIT.SIGNAL_BASE + SIGNAL_NUMBERS[name]),
    }));
  for (const { name, end } of listeners) Deno.addSignalListener(name, end);
  // The first listener of any signal has the runtime catch some others.
  for (const name of ignored) ignoreSignal(name);
  return {
    [Symbol.dispose]() {
      for (const { name, end } of listeners) {
        Deno.removeSignalListener(name, end);
      }
    },
  };
}
