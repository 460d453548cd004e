/**
 * System calls that sleep on a helper thread while the event loop goes on, and
 * can be called back.
 *
 * @module
 */

import { callLibc } from "./call.ts";
import { closeFile } from "./file.ts";
import { isSignalBlocked, wakingSignal } from "./interrupt_timer.ts";
import { libc } from "./libc.ts";
import {
  intArgument,
  readSleepingCalls,
  type SleepingCall,
  SYSCALL_NUMBERS,
} from "./sleeping_call.ts";

/* The runtime has 32 helper threads, and every file operation of the program
 * needs one too. */
const MOST_PARKED = 8;

/* A call that doesn't end in this time has not begun: the program keeps every
 * helper thread busy. */
const PATIENCE_MS = 100;

/* A thread that has been missed may be about to fall asleep. */
const FIRST_PAUSE_MS = 1;
const LONGEST_PAUSE_MS = 64;

const F_DUPFD_CLOEXEC = 1030;

/** What is asleep or about to be. */
const parked = new Set<ParkedCall>();
const unwanted = new Set<ParkedCall>();
let sweeping: Promise<void> | undefined;
let sweepNow = () => {};

/**
 * A call that sleeps on a helper thread. It is to be disposed of, which
 * interrupts nothing.
 */
export class ParkedCall implements Disposable {
  /**
   * What the call returned; -1 when it failed or was interrupted. Its errno
   * stays on the helper thread: make the call again to learn it.
   */
  readonly ended: Promise<number>;
  readonly #number: number;
  readonly #fd: number;
  readonly #operation: number;
  #isDisposed = false;

  /** Made by {@linkcode parkCall}; owns the descriptor. */
  constructor(
    number: number,
    fd: number,
    operation: number,
    call: (fd: number, operation: number) => Promise<number>,
  ) {
    this.#number = number;
    this.#fd = fd;
    this.#operation = operation;
    this.ended = this.#run(call);
  }

  async #run(
    call: (fd: number, operation: number) => Promise<number>,
  ): Promise<number> {
    parked.add(this);
    try {
      return await call(this.#fd, this.#operation);
    } finally {
      parked.delete(this);
      if (this.#isDisposed) closeFile(this.#fd);
      if (unwanted.delete(this) && unwanted.size === 0) {
        sweepNow();
        await sweeping;
      }
    }
  }

  /** Closes the call's descriptor, if need be once it has ended. */
  [Symbol.dispose](): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    if (!parked.has(this)) closeFile(this.#fd);
  }

  /**
   * Has the call end as soon as can be.
   *
   * @returns Resolves once it has; or, should no thread have begun with it yet,
   * after a moment. It is then ended in its time.
   */
  async interrupt(): Promise<void> {
    if (!parked.has(this)) return;
    unwanted.add(this);
    sweepNow();
    sweeping ??= sweep();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const patience = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, PATIENCE_MS);
    });
    await Promise.race([this.ended, patience]);
    clearTimeout(timer);
  }

  /** Whether it is this call in which a thread of this process sleeps. */
  is({ number, args }: SleepingCall): boolean {
    return number === this.#number &&
      intArgument(args[0]!) === this.#fd &&
      intArgument(args[1]!) === this.#operation;
  }
}

/**
 * Makes a call that sleeps in the kernel on a helper thread, unless there is
 * no way to call it back: no /proc, or one of another pid namespace; the
 * signal that would be used is blocked; or this is a Worker, which may be
 * terminated and whose call would then take the lock for nobody.
 *
 * @param name Of the system call.
 * @param fd The descriptor to call with. The call gets one of its own for the
 * same open file, so that this one may be closed before a thread has begun.
 * @param operation Its second argument, by which its thread is found, too.
 * @param call Makes it, by a function of the C library that is bound as
 * nonblocking.
 * @returns The call, or `undefined` when it can't be parked or enough are.
 */
export function parkCall(
  name: "flock" | "fcntl",
  fd: number,
  operation: number,
  call: (fd: number, operation: number) => Promise<number>,
): ParkedCall | undefined {
  if (parked.size >= MOST_PARKED || !canCallBack()) return undefined;
  const own = callLibc(() => libc.fcntl_int(fd, F_DUPFD_CLOEXEC, 0));
  if (own < 0) return undefined;
  return new ParkedCall(SYSCALL_NUMBERS[name], own, operation, call);
}

let known: boolean | undefined;

function canCallBack(): boolean {
  return known ??= !("WorkerGlobalScope" in globalThis) && canSignal() &&
    isShownToItself();
}

function canSignal(): boolean {
  try {
    return !isSignalBlocked(wakingSignal());
  } catch {
    return false;
  }
}

function isShownToItself(): boolean {
  const threadId = libc.gettid();
  return readSleepingCalls("self").some((call) => call.threadId === threadId);
}

/** Interrupts the unwanted calls until none is left. */
async function sweep(): Promise<void> {
  let pauseMs = FIRST_PAUSE_MS;
  while (unwanted.size > 0) {
    // Whoever listens to the same AbortSignal shares a round.
    await undefined;
    interruptSleepers();
    let timer: ReturnType<typeof setTimeout> | undefined;
    await new Promise<void>((resolve) => {
      timer = setTimeout(resolve, pauseMs);
      pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
      sweepNow = () => {
        pauseMs = FIRST_PAUSE_MS;
        resolve();
      };
    });
    clearTimeout(timer);
  }
  sweeping = undefined;
}

/**
 * Interrupts those of the unwanted calls that are asleep.
 *
 * Only the kernel knows which thread makes a call: it shows, of each, the call
 * in which it sleeps. Should that thread be elsewhere when the signal arrives,
 * some other call of the runtime is interrupted, and made again by it.
 */
function interruptSleepers(): void {
  const signal = wakingSignal();
  for (const sleeping of readSleepingCalls("self")) {
    if (![...unwanted].some((call) => call.is(sleeping))) continue;
    callLibc(() =>
      libc.syscall_tgkill(
        BigInt(SYSCALL_NUMBERS.tgkill),
        Deno.pid,
        sleeping.threadId,
        signal,
      )
    );
  }
}
