import { checkTimeout, rejectArgument } from "../lock/check.ts";
import { closeWithWorker, inWorker } from "../lock/lock_file.ts";
import { type Clock, systemClock } from "./clock.ts";
import { hasWaiters, takePlace } from "./waiter_queue.ts";
import type { WakeSource } from "./wake.ts";

/** When a wait for a lock ends without the lock. */
export interface WaitOptions {
  /**
   * Give up after so many milliseconds. 0 tries once; unless set, the wait
   * has no end.
   */
  timeoutMs?: number | undefined;
  /** Give up when it aborts; the wait then rejects with its reason. */
  signal?: AbortSignal | undefined;
}

/** How {@linkcode attemptUntil} waits. */
export interface AttemptLoopOptions extends WaitOptions {
  /** Says when to try again; asked for only when the first attempt fails. */
  wake: () => WakeSource | Promise<WakeSource>;
  /**
   * Names what is waited for: of the waits of this isolate with one name, only
   * the first attempts anything, and the others follow in order.
   */
  queue?: string | undefined;
  /** Called once, when the first attempt has failed and a wait begins. */
  onBusy?: (() => void) | undefined;
  /** Measures the deadline. */
  clock?: Clock | undefined;
}

/** How a loop of attempts ended. */
export interface AttemptResult<T> {
  /** What the attempt gave, or `undefined` when the time was up. */
  value: T | undefined;
  /**
   * Milliseconds from the first attempt to the end; 0 when nothing was to be
   * waited for, with a `timeoutMs` of 0, and only then where time was up.
   */
  waitedMs: number;
}

/**
 * Attempts something until it succeeds, the time is up or the signal aborts.
 * At the deadline, the wait at the head of the queue makes a last attempt;
 * those behind it make none.
 *
 * @param attempt Gives a value when it succeeds, and `undefined` when busy.
 * What it throws ends the loop.
 * @throws {RangeError} when `timeoutMs` is negative or not a number.
 * @throws `signal.reason` when the signal aborts.
 */
export async function attemptUntil<T>(
  attempt: () => T | undefined,
  options: AttemptLoopOptions,
): Promise<AttemptResult<T>> {
  const {
    timeoutMs = Infinity,
    signal,
    onBusy,
    queue,
    clock = systemClock,
  } = options;
  checkTimeout(timeoutMs);
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    rejectArgument("signal", "an AbortSignal", signal);
  }
  signal?.throwIfAborted();
  if (inWorker) await closeWithWorker();
  const start = clock.now();
  const leftMs = () => Math.max(0, start + timeoutMs - clock.now());
  const behindOthers = timeoutMs > 0 && queue !== undefined &&
    hasWaiters(queue);
  let value = behindOthers ? undefined : attempt();
  // One attempt is no wait, however long the kernel takes for it.
  if (timeoutMs === 0) return { value, waitedMs: 0 };
  if (value !== undefined) return { value, waitedMs: clock.now() - start };
  onBusy?.();
  const place = queue === undefined ? undefined : takePlace(queue, clock);
  let wake: WakeSource | undefined;
  try {
    const atHead = await place?.reached(leftMs(), signal) ?? true;
    signal?.throwIfAborted();
    if (behindOthers && atHead) value = attempt();
    if (atHead && value === undefined) {
      wake = await inTime(options.wake(), leftMs(), signal, clock);
      signal?.throwIfAborted();
      if (wake === undefined) value = attempt();
    }
    while (wake !== undefined && value === undefined) {
      const restMs = leftMs();
      if (restMs === 0) break;
      await wake.wait(restMs, signal);
      signal?.throwIfAborted();
      value = attempt();
    }
  } finally {
    // The next in the queue takes over what the wake source leaves behind.
    place?.[Symbol.dispose]();
    const tidied = wake?.[Symbol.asyncDispose]();
    // A caller that has the lock shouldn't keep others waiting while this
    // tidies up.
    if (value === undefined) await tidied;
  }
  return { value, waitedMs: clock.now() - start };
}

/**
 * What wakes, unless the time is up or the signal aborts before it is there:
 * modules are loaded by helper threads of the runtime, and all may be busy.
 */
async function inTime(
  source: WakeSource | Promise<WakeSource>,
  ms: number,
  signal: AbortSignal | undefined,
  clock: Clock,
): Promise<WakeSource | undefined> {
  const hasEnd = ms < Infinity || signal !== undefined;
  if (!(source instanceof Promise) || !hasEnd) return source;
  const ready = new AbortController();
  const ends = AbortSignal.any([ready.signal, ...(signal ? [signal] : [])]);
  let wake: WakeSource | undefined;
  try {
    await Promise.race([
      source.then((it) => wake = it),
      clock.sleep(ms, ends),
    ]);
  } finally {
    ready.abort();
    // Nobody waits for it any more, nor for why there is none.
    if (wake === undefined) {
      source.then((it) => it[Symbol.asyncDispose]()).catch(() => {});
    }
  }
  return wake;
}
