/**
 * System calls that sleep on a helper thread while the event loop goes on, and
 * can be called back.
 *
 * @module
 */

import { callLibc } from "./call.ts";
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

/** A thread that has been missed may be about to fall asleep. */
const SWEEP_INTERVAL_US = 500;

/** What is asleep, which also keeps the memory alive that the kernel reads. */
const parked = new Set<ParkedCall>();
const unwanted = new Set<ParkedCall>();
let sweeping: Promise<void> | undefined;

/** A call that sleeps on a helper thread. */
export class ParkedCall {
  /**
   * What the call returned; -1 when it failed or was interrupted. Its errno
   * stays on the helper thread: make the call again to learn it.
   */
  readonly ended: Promise<number>;
  readonly #number: number;
  readonly #args: readonly number[];
  readonly #call: () => Promise<number>;

  /** Made by {@linkcode parkCall}. */
  constructor(
    number: number,
    args: readonly number[],
    call: () => Promise<number>,
  ) {
    this.#number = number;
    this.#args = args;
    this.#call = call;
    this.ended = this.#run();
  }

  async #run(): Promise<number> {
    parked.add(this);
    try {
      return await this.#call();
    } finally {
      parked.delete(this);
      unwanted.delete(this);
      await sweeping;
    }
  }

  /** Has the call end as soon as can be, if it hasn't yet. */
  interrupt(): void {
    if (!parked.has(this)) return;
    unwanted.add(this);
    sweeping ??= sweep();
  }

  /** Whether it is this call in which a thread of this process sleeps. */
  is({ number, args }: SleepingCall): boolean {
    return number === this.#number &&
      this.#args.every((arg, index) => arg === intArgument(args[index]!));
  }
}

/**
 * Makes a call that sleeps in the kernel on a helper thread, unless there is
 * no way to call it back: no /proc, or one of another pid namespace; the
 * signal that would be used is blocked; or this is a Worker, which may be
 * terminated and whose call would then take the lock for nobody.
 *
 * @param name Of the system call.
 * @param args Its first arguments, by which its thread is found.
 * @param call Makes it, by a function of the C library that is bound as
 * nonblocking.
 * @returns The call, or `undefined` when it can't be parked or enough are.
 */
export function parkCall(
  name: "flock" | "fcntl",
  args: readonly number[],
  call: () => Promise<number>,
): ParkedCall | undefined {
  if (parked.size >= MOST_PARKED || !canCallBack()) return undefined;
  return new ParkedCall(SYSCALL_NUMBERS[name], args, call);
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

/**
 * Interrupts the unwanted calls until none is left.
 *
 * Only the kernel knows which thread makes a call: it shows, of each, the call
 * in which it sleeps. Should that thread be elsewhere when the signal arrives,
 * some other call of the runtime is interrupted, and made again by it.
 */
async function sweep(): Promise<void> {
  // Whoever listens to the same AbortSignal shares the first round.
  await undefined;
  const signal = wakingSignal();
  while (unwanted.size > 0) {
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
    await libc.usleep_async(SWEEP_INTERVAL_US);
  }
  sweeping = undefined;
}
