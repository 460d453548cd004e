/**
 * Signals: their numbers, who ignores them, whom a terminal sends them to.
 *
 * @module
 */

import { closeFile, O_CLOEXEC, O_NOCTTY, O_RDWR, openFile } from "../file.ts";
import { libc } from "../libc.ts";

/** Numbers of signals as x86-64 and aarch64 have them; see signal(7). */
export const SIGNAL_NUMBERS = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGSEGV: 11,
  SIGUSR2: 12,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
  SIGSTKFLT: 16,
  SIGCHLD: 17,
  SIGCONT: 18,
  SIGSTOP: 19,
  SIGTSTP: 20,
  SIGTTIN: 21,
  SIGTTOU: 22,
  SIGURG: 23,
  SIGXCPU: 24,
  SIGXFSZ: 25,
  SIGVTALRM: 26,
  SIGPROF: 27,
  SIGWINCH: 28,
  SIGIO: 29,
  SIGPWR: 30,
  SIGSYS: 31,
} as const;

/** The name of a signal. */
export type SignalName = keyof typeof SIGNAL_NUMBERS;

/** The name of a signal by its number: `SIGTERM`, or `SIG34`. */
export function signalName(number: number): string {
  for (const [name, value] of Object.entries(SIGNAL_NUMBERS)) {
    if (value === number) return name;
  }
  return `SIG${number}`;
}

/**
 * The bytes of struct sigaction of glibc on x86-64 and aarch64: handler (8),
 * mask (128), flags (4), padding (4), restorer (8). Zero is SIG_DFL with an
 * empty mask and no flags.
 */
export const SIGACTION_SIZE = 152;
const SIG_DFL = 0n;
const SIG_IGN = 1n;

/** Whether this process ignores a signal. See sigaction(2). */
export function isSignalIgnored(name: SignalName): boolean {
  return readHandler(name) === SIG_IGN;
}

/** Whether a function of this process is called for a signal. */
export function isSignalHandled(name: SignalName): boolean {
  return readHandler(name) > SIG_IGN;
}

function readHandler(name: SignalName): bigint {
  const action = new Uint8Array(SIGACTION_SIZE);
  libc.sigaction(SIGNAL_NUMBERS[name], null, action);
  return new DataView(action.buffer).getBigUint64(0, true);
}

/** Whether a signal does to this process what it does to any. */
export function hasDefaultAction(name: SignalName): boolean {
  return readHandler(name) === SIG_DFL;
}

/** Gives a signal its default action. */
export function resetSignal(name: SignalName): void {
  libc.sigaction(SIGNAL_NUMBERS[name], new Uint8Array(SIGACTION_SIZE), null);
}

/**
 * Gives signals their default action for a while.
 *
 * @returns Puts back what was there.
 */
export function suspendHandlers(names: readonly SignalName[]): () => void {
  const byDefault = new Uint8Array(SIGACTION_SIZE);
  const actions = names.map((name) => {
    const action = new Uint8Array(SIGACTION_SIZE);
    libc.sigaction(SIGNAL_NUMBERS[name], byDefault, action);
    return { number: SIGNAL_NUMBERS[name], action };
  });
  return () => {
    for (const { number, action } of actions) {
      libc.sigaction(number, action, null);
    }
  };
}

/** Makes this process and the commands it starts deaf to a signal. */
export function ignoreSignal(name: SignalName): void {
  const action = new Uint8Array(SIGACTION_SIZE);
  new DataView(action.buffer).setBigUint64(0, SIG_IGN, true);
  libc.sigaction(SIGNAL_NUMBERS[name], action, null);
}

/* What Deno 2.9 catches about half a second after its start, whatever it did
 * before: then SIGHUP ends a program under nohup(1), and SIGUSR1 has it listen
 * for a debugger. */
const CAUGHT_BY_RUNTIME = ["SIGHUP", "SIGINT", "SIGTERM", "SIGUSR1"] as const;

/**
 * Has signals stay ignored that this process was started to ignore: to be
 * called before the runtime catches them, for what they did before can't be told
 * later.
 *
 * Permissions: `--allow-ffi`.
 */
export function keepIgnoredSignals(): void {
  const ignored = CAUGHT_BY_RUNTIME.filter(isSignalIgnored);
  if (ignored.length === 0) return;
  // It begins to catch each only once.
  for (const name of ignored) {
    const listener = () => {};
    Deno.addSignalListener(name, listener);
    Deno.removeSignalListener(name, listener);
  }
  for (const name of ignored) ignoreSignal(name);
}

/**
 * Sends a signal to a process. One that is gone doesn't get it.
 *
 * @param pid A process id; 0 for this very process.
 */
export function sendSignal(pid: number, name: SignalName): void {
  libc.kill(pid === 0 ? libc.getpid() : pid, SIGNAL_NUMBERS[name]);
}

/**
 * Whether this process is in the foreground of its terminal: what is typed
 * there (Ctrl-C, Ctrl-Z) signals it and all others of its process group.
 */
export function isInForeground(): boolean {
  const terminal = openFile("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (terminal < 0) return false;
  const foreground = libc.tcgetpgrp(terminal);
  closeFile(terminal);
  return foreground === libc.getpgrp();
}
