/**
 * Sleeping in system calls: with a deadline, until there is something to read,
 * and for less time than the runtime's timers can.
 *
 * @module
 */

import { EAGAIN, EINTR } from "./errno.ts";
import { callLibc, cString } from "./call.ts";
import { LockError, SyscallError } from "./error.ts";
import { libc } from "./libc.ts";
import { SIGACTION_SIZE, SIGNAL_NUMBERS } from "./process/signals.ts";

/* As the C library numbers them: it keeps two real-time signals to itself. */
const SIGRTMIN = 34;
const SIGRTMAX = 64;
const SIG_DFL = 0n;
const SIG_IGN = 1n;
const SIG_UNBLOCK = 1;
const SIG_SETMASK = 2;
const CLOCK_MONOTONIC = 1;
const SIGEV_THREAD_ID = 4;

/** When a sleeping call gives up, and what runs meanwhile. */
export interface InterruptTimerOptions {
  /** Milliseconds until the wait is over; Infinity for no end. */
  timeoutMs: number;
  /** Milliseconds between calls of `onTick`; 1000 unless set. */
  tickMs?: number | undefined;
  /** Called between two sleeps, until it returns `false`. */
  onTick?: (() => unknown) | undefined;
}

/**
 * Makes a call that sleeps in the kernel, wakes it by a signal for ticks and
 * the deadline, and makes it again until it succeeds, fails or is too late.
 *
 * The signal is caught by a C function without effect, since JavaScript can't
 * run inside a signal handler. The timer repeats, so a signal that arrives
 * just before the call falls asleep delays the wait's end and doesn't miss it.
 * It is aimed at this thread, which in a Worker isn't the main one.
 *
 * It is a real-time signal that nothing else in the process deals with. Its
 * handler stays: restoring the old one would take it away from other threads
 * that sleep here; exec(3) gives the signal its default action again.
 *
 * @param call Makes the system call once and returns `-EINTR` when a signal
 * ended it.
 * @returns What `call` returned; `-EINTR` only when the time was up.
 */
export function withInterruptTimer(
  call: () => number,
  options: InterruptTimerOptions,
): number {
  const { timeoutMs, tickMs = 1000 } = options;
  let { onTick } = options;
  if (timeoutMs === Infinity && onTick === undefined) {
    for (;;) {
      const result = call();
      if (result !== -EINTR) return result;
    }
  }
  const deadline = performance.now() + timeoutMs;
  const signal = wakingSignal();
  const mask = new Uint8Array(128);
  new DataView(mask.buffer).setBigUint64(0, 1n << BigInt(signal - 1), true);
  const savedMask = new Uint8Array(128);
  libc.sigprocmask(SIG_UNBLOCK, mask, savedMask);
  const timer = createTimer(signal);
  try {
    let nextTick = performance.now() + tickMs;
    for (;;) {
      const now = performance.now();
      if (now >= deadline) return -EINTR;
      const wakeAt = onTick === undefined
        ? deadline
        : Math.min(deadline, nextTick);
      setTimer(timer, Math.max(0, wakeAt - now));
      const result = call();
      if (result !== -EINTR) return result;
      if (onTick !== undefined && performance.now() >= nextTick) {
        if (onTick() === false) onTick = undefined;
        nextTick = performance.now() + tickMs;
      }
    }
  } finally {
    libc.timer_delete(timer);
    libc.sigprocmask(SIG_SETMASK, savedMask, null);
  }
}

let chosen: number | undefined;
/** One that this process was started to ignore. */
let ignored: number | undefined;

/**
 * A real-time signal that does nothing but interrupt a call that sleeps.
 *
 * @throws {LockError} when the process uses them all.
 */
export function wakingSignal(): number {
  if (chosen !== undefined) return chosen;
  const noop = harmlessHandler();
  const action = new BigUint64Array(SIGACTION_SIZE / 8);
  for (let signal = SIGRTMAX; signal > SIGRTMIN; signal--) {
    checkCall("sigaction", () => libc.sigaction(signal, null, action));
    // Ours already: another thread, a Worker, has been here.
    if (action[0] === noop) return chosen = signal;
    if (action[0] === SIG_DFL) return chosen = catchSignal(signal, noop);
    if (action[0] === SIG_IGN) ignored ??= signal;
  }
  if (ignored !== undefined) return chosen = catchSignal(ignored, noop);
  throw new LockError(
    "Cannot set a timer: this process uses every real-time signal",
  );
}

/**
 * A signal for the same where the kernel refuses that one: real-time signals
 * wait in a queue, and RLIMIT_SIGPENDING says how many of a user's may. Others
 * always get through (tgkill(2)), and this one Linux never sends itself.
 *
 * @returns `undefined` when the program uses it.
 */
export function unqueuedWakingSignal(): number | undefined {
  const signal = SIGNAL_NUMBERS.SIGSTKFLT;
  const noop = harmlessHandler();
  const action = new BigUint64Array(SIGACTION_SIZE / 8);
  checkCall("sigaction", () => libc.sigaction(signal, null, action));
  if (action[0] === SIG_DFL) return catchSignal(signal, noop);
  return action[0] === noop ? signal : undefined;
}

/** abs(3) takes an int, as a handler does, and touches nothing. */
function harmlessHandler(): bigint {
  return Deno.UnsafePointer.value(libc.dlsym(null, cString("abs")));
}

function catchSignal(signal: number, handler: bigint): number {
  // Zero flags: no SA_RESTART, so that the sleeping call returns EINTR.
  const action = new BigUint64Array(SIGACTION_SIZE / 8);
  action[0] = handler;
  checkCall("sigaction", () => libc.sigaction(signal, action, null));
  return signal;
}

/**
 * Where all real-time signals were ignored, one of them is used all the same;
 * it is ignored again from now on, so that the command that is started next
 * finds it as this process did. Nobody may sleep with a timer meanwhile.
 */
export function restoreWakingSignal(): void {
  if (ignored === undefined || chosen !== ignored) return;
  const action = new BigUint64Array(SIGACTION_SIZE / 8);
  action[0] = SIG_IGN;
  libc.sigaction(ignored, action, null);
  chosen = undefined;
}

/** A timer that sends a signal to the calling thread. */
function createTimer(signal: number): Deno.PointerValue {
  // struct sigevent: value (8 bytes), signo (4), notify (4), thread id (4)
  const event = new Uint8Array(64);
  const view = new DataView(event.buffer);
  view.setInt32(8, signal, true);
  view.setInt32(12, SIGEV_THREAD_ID, true);
  view.setInt32(16, libc.gettid(), true);
  const timer = new BigUint64Array(1);
  checkCall(
    "timer_create",
    () => libc.timer_create(CLOCK_MONOTONIC, event, timer),
  );
  return Deno.UnsafePointer.create(timer[0]!);
}

/**
 * Fires after `delayMs`, and every millisecond from then on: for a signal that
 * comes just before the call falls asleep, and because an interrupted call is
 * made twice to be sure of its error number.
 */
function setTimer(timer: Deno.PointerValue, delayMs: number): void {
  // struct itimerspec: it_interval then it_value, seconds and nanoseconds each
  const spec = new BigInt64Array(4);
  spec[1] = 1_000_000n;
  // A zero it_value would disarm the timer; a year is as good as for ever.
  const delayNs = BigInt(Math.round(Math.min(delayMs, 3.15e10) * 1e6)) || 1n;
  spec[2] = delayNs / 1_000_000_000n;
  spec[3] = delayNs % 1_000_000_000n;
  checkCall("timer_settime", () => libc.timer_settime(timer, 0, spec, null));
}

function checkCall(syscall: string, call: () => number): void {
  const result = callLibc(call);
  if (result < 0) {
    throw new SyscallError("set a timer", {
      syscall,
      errno: -result,
      advice: result === -EAGAIN
        ? "this user has too many timers and waiting signals; see ulimit -i"
        : undefined,
    });
  }
}

/** Sleeps on a helper thread of the runtime, by usleep(3). */
export async function sleepElsewhere(ms: number): Promise<void> {
  await libc.usleep_async(Math.max(0, Math.round(ms * 1000)));
}

const POLLIN = 1;

/** An array of struct pollfd: int fd, short events, short revents. */
function pollEntries(fds: readonly number[]): Int32Array<ArrayBuffer> {
  const entries = new Int32Array(2 * fds.length);
  fds.forEach((fd, index) => {
    entries[2 * index] = fd;
    entries[2 * index + 1] = POLLIN;
  });
  return entries;
}

/* The kernel writes to them when the wait ends: nothing else keeps them from
 * being collected meanwhile. */
const inUse = new Set<Int32Array>();

/**
 * Waits, on a helper thread, until one of several descriptors has something to
 * read.
 *
 * Permissions: `--allow-ffi`. See poll(2).
 *
 * @param fds Open descriptors, which stay open until it returns.
 * @param timeoutMs The longest wait in milliseconds.
 * @returns Whether one is readable, or has an error to tell.
 */
export async function waitReadable(
  fds: readonly number[],
  timeoutMs: number,
): Promise<boolean> {
  const entries = pollEntries(fds);
  inUse.add(entries);
  try {
    return await libc.poll_async(entries, BigInt(fds.length), timeoutMs) > 0;
  } finally {
    inUse.delete(entries);
  }
}

/**
 * The same with this thread asleep.
 *
 * @param timeoutMs The longest wait in milliseconds; -1 for ever.
 */
export function sleepUntilReadable(fd: number, timeoutMs: number): boolean {
  const entries = pollEntries([fd]);
  return callLibc(() => libc.poll(entries, 1n, Math.ceil(timeoutMs))) > 0;
}
