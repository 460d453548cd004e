/**
 * Releasing locks when the process ends in an orderly way.
 *
 * @module
 */

import { hasFfi } from "../../sys/process/environment.ts";
import {
  hasDefaultAction,
  isSignalIgnored,
  resetSignal,
  sendSignal,
  type SignalName,
} from "../../sys/process/signals.ts";

/** What can be released. */
interface Releasable {
  release(): void;
}

/** Told why a lock was released by a process that goes on all the same. */
type OnLost = (reason: string) => void;

/** Signals that are sent to end a process, and listened to for nothing else. */
const ENDING = ["SIGINT", "SIGTERM", "SIGHUP"] as const satisfies SignalName[];

/**
 * Others that end a process unless it listens to them. SIGKILL can't be heard,
 * nor can those by which the processor reports a fault.
 */
const ENDING_UNLESS_HEARD = [
  "SIGQUIT",
  "SIGABRT",
  "SIGALRM",
  "SIGUSR1",
  "SIGUSR2",
  "SIGSTKFLT",
  "SIGXCPU",
  "SIGXFSZ",
  "SIGVTALRM",
  "SIGPROF",
  "SIGIO",
  "SIGPWR",
] as const satisfies SignalName[];

type EndingSignal =
  | typeof ENDING[number]
  | typeof ENDING_UNLESS_HEARD[number];

const locks = new Map<Releasable, OnLost>();
const listeners = new Map<EndingSignal, () => void>();
/* The runtime's handler stays when the last listener goes. */
const endedOnceHeard = new Set<EndingSignal>();

/** Releases a lock at exit, at an error that ends the process, and at a signal. */
export function releaseAtExit(lock: Releasable, onLost: OnLost): void {
  locks.set(lock, onLost);
  globalThis.addEventListener("unload", releaseAll);
  for (const type of ["error", "unhandledrejection"] as const) {
    // After the program's own listeners: one of them may prevent the end.
    globalThis.removeEventListener(type, onError);
    globalThis.addEventListener(type, onError);
  }
  for (const name of signalsThatEnd()) {
    if (listeners.has(name)) continue;
    const listener = () => onSignal(name);
    Deno.addSignalListener(name, listener);
    listeners.set(name, listener);
  }
}

/** Without libc, what a signal does can't be told. */
function signalsThatEnd(): readonly EndingSignal[] {
  if (!hasFfi()) return ENDING;
  for (const name of ENDING_UNLESS_HEARD) {
    if (hasDefaultAction(name)) endedOnceHeard.add(name);
  }
  // As under nohup(1): to listen to one that is ignored would be to hear it.
  const ending = ENDING.filter((name) => !isSignalIgnored(name));
  return [...ending, ...endedOnceHeard];
}

/** The lock is gone: with the last one, so are the listeners. */
export function stopReleasingAtExit(lock: Releasable): void {
  if (locks.delete(lock) && locks.size === 0) removeListeners();
}

function removeListeners(): void {
  globalThis.removeEventListener("unload", releaseAll);
  globalThis.removeEventListener("error", onError);
  globalThis.removeEventListener("unhandledrejection", onError);
  for (const [name, listener] of listeners) {
    Deno.removeSignalListener(name, listener);
  }
  listeners.clear();
}

function releaseAll(): void {
  for (const lock of [...locks.keys()]) {
    try {
      lock.release();
    } catch {
      // The process ends: others will find its owner dead.
      locks.delete(lock);
    }
  }
  removeListeners();
}

/** Nothing runs after this, unless a later listener prevents the end. */
function onError(event: Event): void {
  if (event.defaultPrevented) return;
  const released = [...locks];
  releaseAll();
  setTimeout(() => {
    for (const [, onLost] of released) {
      onLost(
        "it was released for an error that was to end the process; a listener " +
          "that prevents that must be added before the lock is taken",
      );
    }
  });
}

/** The signal then does what it would have done. */
function onSignal(name: EndingSignal): void {
  releaseAll();
  if (hasFfi()) {
    resetSignal(name);
    sendSignal(0, name);
  } else {
    Deno.kill(Deno.pid, name);
  }
}
