/**
 * System calls that sleep on a thread of their own while the event loop goes
 * on, and can be called back.
 *
 * The thread makes the call, sets a byte and raises SIGURG, which JavaScript
 * can listen to and which by default does nothing. No helper thread of the
 * runtime is used, and no signal is ever sent to a thread other than these: a
 * program's own I/O isn't disturbed, and it doesn't hold up a wait either.
 *
 * @module
 */

import { LockError } from "../error.ts";
import { closeFile, noteClosed } from "../file.ts";
import { EAGAIN } from "../errno.ts";
import { unqueuedWakingSignal, wakingSignal } from "../sleep.ts";
import { isSignalHandled, SIGNAL_NUMBERS } from "../process/signals.ts";
import { type CallThread, takeThread } from "./call_thread.ts";
import { mostThreads } from "./thread_limit.ts";

const { SIGSTKFLT, SIGURG } = SIGNAL_NUMBERS;

/** Where a thread says, in its scratch memory, that its call has ended. */
const ENDED = 0;
/** Where the bytes are that an argument points to. */
const ARGUMENT = 64;

/* A thread that has been interrupted before it has begun with its call is
 * interrupted again. */
const INTERRUPT_AGAIN_MS = 1;

/* SIGURG is the program's too: should it take the signal from us, waits end
 * late rather than never. */
const LOOK_AGAIN_MS = 5000;

/** A call that sleeps on a thread of its own. */
export interface ParkedCall {
  /**
   * Resolves when the call has ended: it was granted what it asked for, has
   * failed, or has been interrupted. Another call on the same open file tells
   * which.
   */
  readonly ended: Promise<void>;
  /** Has the call end as soon as can be, unless it has. */
  interrupt(): void;
}

/** What is asleep or about to be. */
const parked = new Set<CallOnThread>();
const unwanted = new Set<CallOnThread>();
let interrupting: ReturnType<typeof setInterval> | undefined;
let looking: ReturnType<typeof setInterval> | undefined;

class CallOnThread implements ParkedCall {
  readonly ended: Promise<void>;
  readonly #thread: CallThread;
  readonly #resolve: () => void;

  constructor(thread: CallThread) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ended = promise;
    this.#resolve = resolve;
    this.#thread = thread;
  }

  get hasEnded(): boolean {
    return this.#thread.scratch.bytes[ENDED] !== 0;
  }

  interrupt(): void {
    if (!parked.has(this)) return;
    unwanted.add(this);
    if (this.#thread.signal(wakingSignal()) === EAGAIN) {
      const unqueued = unqueuedWakingSignal();
      if (unqueued !== undefined) this.#thread.signal(unqueued);
    }
    interrupting ??= setInterval(interruptUnwanted, INTERRUPT_AGAIN_MS);
  }

  /** Gives up the thread, and tells. */
  end(): void {
    this.#thread.release();
    this.#resolve();
  }
}

function interruptUnwanted(): void {
  endCalls();
  for (const call of unwanted) call.interrupt();
}

/** Ends the calls whose threads say so. */
function endCalls(): void {
  const ended = [...parked].filter((call) => call.hasEnded);
  for (const call of ended) {
    parked.delete(call);
    unwanted.delete(call);
  }
  // Before the waiter is told, so that it leaves nothing behind.
  if (unwanted.size === 0) {
    clearInterval(interrupting);
    interrupting = undefined;
  }
  if (parked.size === 0 && ended.length > 0) stopListening();
  for (const call of ended) call.end();
}

/** @returns Whether this program is told of the signal. */
function startListening(): boolean {
  Deno.addSignalListener("SIGURG", endCalls);
  // The runtime sets its handler once. Other code may have reset it since.
  if (!isSignalHandled("SIGURG")) {
    Deno.removeSignalListener("SIGURG", endCalls);
    return false;
  }
  // To listen to a signal doesn't keep a program running; to wait does.
  looking = setInterval(endCalls, LOOK_AGAIN_MS);
  return true;
}

function stopListening(): void {
  Deno.removeSignalListener("SIGURG", endCalls);
  clearInterval(looking);
}

/**
 * Waits for a lock on a thread of its own.
 *
 * @param name The C function.
 * @param args As for {@linkcode parkCall}.
 * @returns The call; `undefined` where it can't be made: besides those of
 * {@linkcode parkCall}, in a Worker, which may be terminated and whose call
 * would then take the lock for nobody; and when there are threads enough.
 */
export function parkLockCall(
  name: "flock" | "fcntl",
  args: readonly (number | Uint8Array)[],
): ParkedCall | undefined {
  const isRefused = "WorkerGlobalScope" in globalThis ||
    parked.size >= mostThreads(parked.size);
  return isRefused ? undefined : parkCall(name, args);
}

/**
 * Makes a call that sleeps in the kernel on a thread of its own. In a Worker,
 * which may be terminated, the call must end by itself some day.
 *
 * @param name The C function.
 * @param args Its arguments; bytes are copied, at most 64 of them, and pointed
 * to. Until the call has ended, a descriptor stays open and its lock isn't
 * touched: a thread that is slow to begin would act on whatever that has become.
 * @returns The call; `undefined` where it can't be made: without glibc; where
 * SIGURG isn't available; when the system has no thread left.
 */
export function parkCall(
  name: "flock" | "fcntl" | "poll" | "close",
  args: readonly (number | Uint8Array)[],
): ParkedCall | undefined {
  if (!canInterrupt()) return undefined;
  // Listens before the thread starts, which may be done before this one goes on.
  if (parked.size === 0 && !startListening()) return undefined;
  const call = startCall(name, args);
  if (call !== undefined) parked.add(call);
  else if (parked.size === 0) stopListening();
  return call;
}

function startCall(
  name: string,
  args: readonly (number | Uint8Array)[],
): CallOnThread | undefined {
  const thread = takeThread();
  if (thread === undefined) return undefined;
  const { bytes, address } = thread.scratch;
  const numbers = args.map((arg) => {
    if (typeof arg === "number") return arg;
    bytes.set(arg, ARGUMENT);
    return address + BigInt(ARGUMENT);
  });
  const isStarted = thread.start([
    { name, args: numbers, signals: [wakingSignal(), SIGSTKFLT] },
    { name: "memset", args: [address + BigInt(ENDED), 1, 1] },
    { name: "raise", args: [SIGURG], signals: [SIGURG] },
  ]);
  return isStarted ? new CallOnThread(thread) : undefined;
}

let isInterruptible: boolean | undefined;

function canInterrupt(): boolean {
  return isInterruptible ??= isSignalLeft();
}

function isSignalLeft(): boolean {
  try {
    wakingSignal();
    return true;
  } catch (error) {
    if (error instanceof LockError) return false;
    throw error;
  }
}

/**
 * Closes a descriptor on another thread, where there can be one: for files
 * that take the kernel long, or whose server can't be reached.
 */
export async function closeElsewhere(fd: number): Promise<void> {
  // Before: as soon as there is a thread the number may be another's.
  noteClosed(fd);
  const call = parkCall("close", [fd]);
  if (call === undefined) closeFile(fd);
  await call?.ended;
}
