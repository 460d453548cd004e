/**
 * Running a command while a lock is held.
 *
 * @module
 */

import type { HeldLock } from "../../../lib/lock/held_lock.ts";
import {
  type ChildChange,
  isFirstProcess,
  prepareCommand,
  waitForChange,
} from "../../../lib/sys/process/exec.ts";
import type { SignalOrigins } from "../../../lib/sys/process/signal_origin.ts";
import {
  ignoreSignal,
  isInForeground,
  isSignalIgnored,
  sendSignal,
  type SignalName,
  signalName,
  suspendHandlers,
} from "../../../lib/sys/process/signals.ts";
import { EXIT } from "../../ui/exit_codes.ts";
import type { LeasedProcess } from "./request.ts";

/** How a command is watched over. */
export interface SuperviseOptions {
  /**
   * When this process is killed: `keep` leaves the command the lock, `kill`
   * kills the command. Unless set, `keep` where the lock can be inherited.
   */
  onDeath?: "keep" | "kill" | undefined;
  /** KILL follows a TERM after so many milliseconds. */
  killAfterMs?: number | undefined;
  /** Told of the command's process id. */
  onStart?: ((pid: number) => void) | undefined;
}

/** How a command ended. */
export interface Ending {
  /** Its process id. */
  pid: number;
  /** Its exit code, unless a signal ended it. */
  code: number | undefined;
  /** The signal that ended it. */
  signal: string | undefined;
  /** What a shell would call its exit code: 128 and the signal's number. */
  exitCode: number;
}

const FORWARDED = [
  "SIGHUP",
  "SIGINT",
  "SIGQUIT",
  "SIGTERM",
  "SIGUSR1",
  "SIGUSR2",
  "SIGWINCH",
  "SIGTSTP",
  "SIGCONT",
] as const satisfies readonly SignalName[];

/** What a terminal sends to all processes in its foreground. */
const FROM_TERMINAL: readonly SignalName[] = [
  "SIGINT",
  "SIGQUIT",
  "SIGTSTP",
  "SIGWINCH",
];

/** setTimeout fires at once for more than 31 bits, which is 24 days. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** What runs one command while a lock is held. */
export class Supervisor {
  readonly #command: readonly string[];
  readonly #options: SuperviseOptions;
  readonly #signals: SignalForwarder;
  #start: (() => number) | undefined;

  /** Starts nothing yet. */
  constructor(command: readonly string[], options: SuperviseOptions = {}) {
    this.#command = command;
    this.#options = options;
    // Before the command starts: no signal may find nobody listening.
    this.#signals = new SignalForwarder(options.killAfterMs);
  }

  /**
   * Does what can be done for the command before there is a lock, and leaves
   * signals their default action until {@linkcode run}.
   */
  async standBy(): Promise<void> {
    this.#start ??= prepareCommand(this.#command);
    await this.#signals.standBy();
  }

  /**
   * The same, but has a function told of signals until {@linkcode run}, instead
   * of their default action.
   */
  heedSignals(onSignal: (name: SignalName) => void): void {
    this.#start ??= prepareCommand(this.#command);
    this.#signals.heed(onSignal);
  }

  /**
   * Runs the command until it ends, and passes on to it the signals that arrive
   * here. The lock stays held.
   *
   * The command inherits the lock, so that it is still protected if this
   * process is killed. Releasing the lock here ends it for all who have
   * inherited it.
   *
   * @param lock What protects it.
   * @param leased Told of it where the lock is a lease.
   * @throws {SyscallError} when it can't be started.
   * @throws {LockCompromisedError} when the lock is lost already.
   */
  async run(lock: Partial<HeldLock>, leased?: LeasedProcess): Promise<Ending> {
    const { onStart } = this.#options;
    const onDeath = this.#options.onDeath ??
      (lock.setInheritable ? "keep" : "kill");
    const start = onDeath === "keep" || leased !== undefined
      ? this.#start ?? prepareCommand(this.#command)
      : prepareCommand(await guarded(this.#command));
    const signals = this.#signals;
    await signals.listen();
    // Asks the clocks: after a stop of this process no timer has run yet.
    if (lock.held === false) lock.lost?.throwIfAborted();
    lock.setInheritable?.(true);
    const pid = start();
    lock.setInheritable?.(false);
    leased?.onStart(pid);
    signals.forwardTo(pid);
    onStart?.(pid);
    const terminate = () =>
      signals.terminate(
        leased?.lossGraceMs ?? graceOf(lock.lost!.reason),
        leased,
      );
    if (lock.lost?.aborted) terminate();
    else lock.lost?.addEventListener("abort", terminate);
    const reapOrphans = isFirstProcess();
    try {
      for (;;) {
        const change = await waitForChange(pid, { reapOrphans });
        switch (change.state) {
          case "exited":
          case "killed":
            return describeEnding(pid, change);
        }
        signals.onChange(change.state);
      }
    } finally {
      signals.end();
    }
  }
}

/**
 * How long the command may take to end after a loss; its error is told by its
 * shape, so that no module is loaded for this.
 */
function graceOf(loss: unknown): number | undefined {
  const graceMs = loss instanceof Error && "graceMs" in loss
    ? loss.graceMs
    : undefined;
  return typeof graceMs === "number" ? graceMs : undefined;
}

function describeEnding(
  pid: number,
  change: ChildChange & { state: "exited" | "killed" },
): Ending {
  if (change.state === "exited") {
    const { code } = change;
    return { pid, code, signal: undefined, exitCode: code };
  }
  return {
    pid,
    code: undefined,
    signal: signalName(change.signal),
    exitCode: EXIT.SIGNAL_BASE + change.signal,
  };
}

/** A command line that dies with this process. */
async function guarded(command: readonly string[]): Promise<string[]> {
  const { selfCommand } = await import("../../self_command.ts");
  const self = selfCommand(
    ["run", "--guard", String(Deno.pid), "--", ...command],
    ["--allow-ffi"],
  );
  return [self.command, ...self.args];
}

/** Passes signals on to a command. */
class SignalForwarder {
  readonly #killAfterMs: number | undefined;
  readonly #caught: readonly SignalName[];
  /** Set where there is a terminal that may send some. */
  #origins: SignalOrigins | undefined;
  #pid: number | undefined;
  #early: SignalName[] = [];
  #onEarly: ((name: SignalName) => void) | undefined;
  #killTimer: ReturnType<typeof setTimeout> | undefined;
  #commandStopped = false;
  /** The last request to stop that hasn't been met or taken back. */
  #stopAsked: symbol | undefined;
  #resume: (() => void) | undefined;

  /** Signals that arrive before the command is there wait for it. */
  constructor(killAfterMs: number | undefined) {
    this.#killAfterMs = killAfterMs;
    const ignored = FORWARDED.filter(isSignalIgnored);
    this.#caught = FORWARDED.filter((name) => !ignored.includes(name));
    for (const name of this.#caught) {
      Deno.addSignalListener(name, () => this.#onSignal(name));
    }
    // As under nohup(1). With the first listener of any signal the runtime
    // starts to catch SIGHUP, SIGINT and SIGTERM too.
    for (const name of ignored) ignoreSignal(name);
  }

  /** Leaves signals their default action until {@linkcode listen}. */
  async standBy(): Promise<void> {
    // It has none: what ends the wait of such a process is listening already.
    if (isFirstProcess()) return;
    this.#resume ??= suspendHandlers(this.#caught);
    await this.#hearAll();
  }

  /**
   * Waits until what came before is heard. The runtime hears of signals on a
   * thread of its own, which on a busy machine may be late, and looks for one
   * kind after another: who has heard two that came after has heard all.
   */
  async #hearAll(): Promise<void> {
    for (let round = 0; round < 2; round++) {
      const { promise, resolve } = Promise.withResolvers<void>();
      Deno.addSignalListener("SIGURG", resolve);
      sendSignal(0, "SIGURG");
      await promise;
      Deno.removeSignalListener("SIGURG", resolve);
    }
    await new Promise((resolve) => setTimeout(resolve));
  }

  /** Has a function told of signals until {@linkcode listen}. */
  heed(onSignal: (name: SignalName) => void): void {
    this.#resume?.();
    this.#resume = undefined;
    this.#onEarly = onSignal;
  }

  /** Has signals wait for the command from now on. */
  async listen(): Promise<void> {
    this.#resume?.();
    this.#resume = undefined;
    this.#onEarly = undefined;
    if (this.#origins !== undefined || !isInForeground()) return;
    const { SignalOrigins } = await import(
      "../../../lib/sys/process/signal_origin.ts"
    );
    this.#origins = new SignalOrigins();
    for (const name of this.#caught) this.#origins.watch(name);
  }

  /** The command is there. */
  forwardTo(pid: number): void {
    this.#pid = pid;
    // A terminal that sent them didn't know the command yet.
    for (const name of this.#early.splice(0)) this.#pass(name, pid);
  }

  #onSignal(name: SignalName): void {
    const pid = this.#pid;
    if (pid === undefined) {
      if (this.#onEarly !== undefined) this.#onEarly(name);
      else if (this.#resume === undefined) this.#early.push(name);
      else sendSignal(0, name);
      return;
    }
    if (this.#isFromTerminal(name)) this.#note(name, pid);
    else this.#pass(name, pid);
  }

  /** Whether the command, in the same foreground, has got it already. */
  #isFromTerminal(name: SignalName): boolean {
    const origin = this.#origins?.take(name);
    return FROM_TERMINAL.includes(name) && origin !== "process" &&
      isInForeground();
  }

  #pass(name: SignalName, pid: number): void {
    sendSignal(pid, name);
    this.#note(name, pid);
  }

  #note(name: SignalName, pid: number): void {
    switch (name) {
      case "SIGTERM":
        this.#startKillTimer(pid);
        break;
      case "SIGTSTP":
        this.#askToStop();
        break;
      case "SIGCONT":
        this.#stopAsked = undefined;
    }
  }

  /**
   * In an orphaned process group nobody would continue this process, and the
   * kernel doesn't let the command stop at this either.
   */
  async #askToStop(): Promise<void> {
    const asked = this.#stopAsked = Symbol();
    const { isGroupOrphaned } = await import(
      "../../../lib/sys/process/process_group.ts"
    );
    if (this.#stopAsked !== asked) return;
    if (isGroupOrphaned()) this.#stopAsked = undefined;
    else this.#stopWithCommand();
  }

  /**
   * Asks the command to end, as a TERM that arrives here does.
   *
   * @param killAfterMs KILL follows at the latest so many milliseconds later.
   * @param leased How it is asked where the lock was a lease.
   */
  terminate(killAfterMs?: number, leased?: LeasedProcess): void {
    if (this.#pid === undefined) return;
    if (leased === undefined) sendSignal(this.#pid, "SIGTERM");
    else leased.askToEnd();
    this.#startKillTimer(this.#pid, killAfterMs);
  }

  #startKillTimer(pid: number, mostMs = Infinity): void {
    const ms = Math.min(this.#killAfterMs ?? Infinity, mostMs);
    if (ms === Infinity) return;
    // One that was to end at its leisure may have to hurry now.
    if (mostMs !== Infinity) clearTimeout(this.#killTimer);
    else if (this.#killTimer !== undefined) return;
    this.#killTimer = setTimeout(
      () => sendSignal(pid, "SIGKILL"),
      Math.min(ms, MAX_TIMER_MS),
    );
  }

  /** The command has stopped or goes on. */
  onChange(state: "stopped" | "continued"): void {
    this.#commandStopped = state === "stopped";
    this.#stopWithCommand();
  }

  /**
   * Ctrl-Z stops this process too, so that the shell takes its terminal back;
   * but only when the command obeys, for it may do as it likes.
   */
  #stopWithCommand(): void {
    if (!this.#commandStopped || this.#stopAsked === undefined) return;
    this.#stopAsked = undefined;
    sendSignal(0, "SIGSTOP");
  }

  /** The command has ended: its process id may soon be another's. */
  end(): void {
    // Without a timer, the runtime need not load its timers for this: 3 ms.
    if (this.#killTimer !== undefined) clearTimeout(this.#killTimer);
    this.#pid = undefined;
  }
}
