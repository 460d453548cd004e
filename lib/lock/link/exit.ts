/**
 * Releasing locks when the process ends in an orderly way.
 *
 * @module
 */

import { hasFfi } from "../../sys/libc.ts";
import {
  isSignalIgnored,
  sendSignal,
  type SignalName,
} from "../../sys/signals.ts";

/** What can be released. */
interface Releasable {
  release(): void;
}

const SIGNALS = [
  "SIGINT",
  "SIGTERM",
  "SIGHUP",
] as const satisfies readonly SignalName[];

const locks = new Set<Releasable>();
const listeners = new Map<(typeof SIGNALS)[number], () => void>();

/** Releases a lock at exit and at a fatal signal. */
export function releaseAtExit(lock: Releasable): void {
  locks.add(lock);
  if (locks.size > 1) return;
  globalThis.addEventListener("unload", releaseAll);
  for (const name of SIGNALS) {
    // As under nohup(1): to listen would be to hear it.
    if (hasFfi() && isSignalIgnored(name)) continue;
    const listener = () => onSignal(name);
    listeners.set(name, listener);
    Deno.addSignalListener(name, listener);
  }
}

/** The lock is gone: with the last one, so are the listeners. */
export function stopReleasingAtExit(lock: Releasable): void {
  if (locks.delete(lock) && locks.size === 0) removeListeners();
}

function removeListeners(): void {
  globalThis.removeEventListener("unload", releaseAll);
  for (const [name, listener] of listeners) {
    Deno.removeSignalListener(name, listener);
  }
  listeners.clear();
}

function releaseAll(): void {
  for (const lock of [...locks]) {
    try {
      lock.release();
    } catch {
      // The process ends: others will find its owner dead.
      locks.delete(lock);
    }
  }
  removeListeners();
}

/** The signal then does what it would have done. */
function onSignal(name: (typeof SIGNALS)[number]): void {
  releaseAll();
  if (hasFfi()) sendSignal(0, name);
  else Deno.kill(Deno.pid, name);
}
