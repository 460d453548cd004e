/**
 * Waking by the kernel's news of a file rather than by the clock.
 *
 * @module
 */

import { LockError, SyscallError } from "../sys/error.ts";
import { type Clock, systemClock } from "./clock.ts";
import {
  type FileEvents,
  fileEvents,
  IN_CLOSE,
  IN_DELETE,
  IN_MOVED_FROM,
  IN_MOVED_TO,
  type Watch,
} from "../sys/storage/events.ts";
import { pollingWake, type WakeSource } from "./wake.ts";

/** What to watch for the end of a lock. */
export type WakeTarget =
  /** An open descriptor: its file's being closed by anybody. */
  | { fd: number }
  /** A file by its name: the same. */
  | { path: string }
  /** An entry of a directory: its removal or replacement. */
  | { directory: string; entry: string };

/** How {@linkcode eventWake} waits. */
export interface EventWakeOptions {
  /** Measures the backstop. */
  clock?: Clock | undefined;
  /** A number from 0 up to 1. */
  random?: (() => number) | undefined;
  /** The first pause between attempts that no event has asked for. */
  backstopMs?: number | undefined;
  /**
   * Releases often raise no event (of a range of a file that stays open, by
   * another host): attempts then come 1 to 100 ms apart even without.
   */
  mostlySilent?: boolean | undefined;
  /** Called once, when the kernel can't tell and the wait polls instead. */
  onDegraded?: ((reason: Error) => void) | undefined;
  /** Where events come from. */
  events?: FileEvents | undefined;
}

/* A release that raises no event (LOCK_UN by a process that keeps the file
 * open, another host's on a network filesystem) is found by the backstop; the
 * longer the wait has been, the less a moment more matters. */
const SLOW_BACKSTOP = { firstMs: 250, growth: 1.5, maxMs: 5000 };
const FAST_BACKSTOP = { firstMs: 1, growth: 2, maxMs: 100 };

/* Rare attempts of one process are made together: a hundred at once cost a
 * tenth of what they cost one by one, each with cold caches. */
const TOGETHER_MS = 1000;

/* Linux reports a close just before it drops the closer's locks (__fput in
 * fs/file_table.c), and on a busy machine the news may push the closer off its
 * CPU in between: an attempt that fails then is repeated soon. */
const AFTER_EVENT_MS = [0.05, 0.2, 0.8, 3];

/* Where many processes contend, each release wakes them all. One that has come
 * away empty so often in a row lets the others try. */
const PATIENT_WAKES = 4;
const MAX_PAUSE_MS = 16;

/**
 * Wakes when one of some files is closed by anybody, or an entry of a
 * directory goes away; and, should that raise no event, by a slow clock.
 *
 * The first wait begins to watch and returns at once, for what has happened
 * before raises no event. When the kernel can't watch (out of inotify
 * instances or watches, no /proc, no thread to listen), it polls.
 *
 * @param targets Asked for at each wait: a file may have been opened anew.
 * @param options Clock and backstop.
 */
export function eventWake(
  targets: () => readonly WakeTarget[],
  options: EventWakeOptions = {},
): WakeSource {
  return new EventWake(targets, options);
}

/** A watch and the number that the kernel has given its file. */
interface Watched {
  wd: number;
  watch: Watch;
}

/** What to ask the kernel for. */
function describe(
  target: WakeTarget,
): { path: string; mask: number; name?: string } {
  if ("fd" in target) {
    return { path: `/proc/self/fd/${target.fd}`, mask: IN_CLOSE };
  }
  if ("path" in target) return { path: target.path, mask: IN_CLOSE };
  return {
    path: target.directory,
    mask: IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO,
    name: target.entry,
  };
}

class EventWake implements WakeSource {
  readonly #targets: () => readonly WakeTarget[];
  readonly #options: EventWakeOptions;
  readonly #clock: Clock;
  readonly #events: FileEvents;
  /** The watches by file number and entry name. */
  #watches = new Map<string, Watched>();
  #polling: WakeSource | undefined;
  #signalled = false;
  #fruitlessWakes = 0;
  /** Attempts since the last event; none comes soon before the first event. */
  #repeated = AFTER_EVENT_MS.length;
  readonly #backstop: typeof SLOW_BACKSTOP;
  #backstopMs: number;
  #wakeUp: (() => void) | undefined;

  constructor(
    targets: () => readonly WakeTarget[],
    options: EventWakeOptions,
  ) {
    this.#targets = targets;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#events = options.events ?? fileEvents;
    this.#backstop = options.mostlySilent ? FAST_BACKSTOP : SLOW_BACKSTOP;
    this.#backstopMs = options.backstopMs ?? this.#backstop.firstMs;
  }

  async wait(maxMs: number, signal?: AbortSignal): Promise<void> {
    if (this.#polling !== undefined) {
      return await this.#polling.wait(maxMs, signal);
    }
    if (this.#watchTargets()) return;
    const pauseMs = this.#pauseMs();
    if (pauseMs > 0) {
      await this.#clock.sleep(Math.min(pauseMs, maxMs), signal);
      maxMs -= pauseMs;
      if (maxMs <= 0 || signal?.aborted) return;
    }
    if (!this.#signalled) {
      if (!this.#events.listen()) {
        return this.#degrade(
          new LockError(
            "Polling: this process can't start a thread to wait for events",
          ),
        );
      }
      const tickMs = this.#nextTickMs();
      await this.#sleep(Math.min(tickMs, maxMs), signal);
    }
    if (this.#signalled) {
      this.#signalled = false;
      this.#fruitlessWakes++;
      this.#repeated = 0;
    } else if (this.#repeated > AFTER_EVENT_MS.length) {
      this.#fruitlessWakes = 0;
    }
  }

  /**
   * Watches what isn't watched yet, and no longer what is no target any more.
   *
   * @returns Whether another attempt must come first.
   */
  #watchTargets(): boolean {
    const before = this.#watches;
    const now: typeof before = new Map();
    this.#watches = now;
    let fresh = false;
    for (const target of this.#targets()) {
      const watched = this.#watch(target, before);
      if (watched === undefined) continue;
      now.set(watched.key, watched.entry);
      fresh ||= !before.delete(watched.key);
    }
    for (const { wd, watch } of before.values()) this.#events.remove(wd, watch);
    return fresh || this.#polling !== undefined;
  }

  #watch(
    target: WakeTarget,
    before: ReadonlyMap<string, Watched>,
  ): { key: string; entry: Watched } | undefined {
    const { path, mask, name } = describe(target);
    const watch: Watch = { mask, name, onEvent: () => this.#onEvent() };
    const wd = this.#events.add(path, watch);
    if (wd < 0) {
      this.#degrade(
        new SyscallError("watch", {
          syscall: "inotify_add_watch",
          errno: -wd,
          path,
          advice: "polling instead; see fs.inotify.max_user_watches and " +
            "max_user_instances",
        }),
      );
      return undefined;
    }
    const key = `${wd}/${name ?? ""}`;
    const known = before.get(key);
    if (known === undefined) return { key, entry: { wd, watch } };
    this.#events.remove(wd, watch);
    return { key, entry: known };
  }

  #degrade(reason: Error): void {
    if (this.#polling !== undefined) return;
    this.#polling = pollingWake(this.#options.clock, this.#options.random);
    this.#options.onDegraded?.(reason);
  }

  #onEvent(): void {
    this.#signalled = true;
    this.#wakeUp?.();
  }

  #pauseMs(): number {
    const tooMany = this.#fruitlessWakes - PATIENT_WAKES;
    if (tooMany <= 0) return 0;
    return Math.min(2 ** (tooMany - 2), MAX_PAUSE_MS) *
      (1 - this.#random() / 2);
  }

  #nextTickMs(): number {
    const repeatMs = AFTER_EVENT_MS[this.#repeated++];
    if (repeatMs !== undefined) return repeatMs;
    const tickMs = this.#backstopMs * (1 - this.#random() / 4);
    this.#backstopMs = Math.min(
      this.#backstopMs * this.#backstop.growth,
      Math.max(this.#backstop.maxMs, this.#options.backstopMs ?? 0),
    );
    if (tickMs < TOGETHER_MS / 2) return tickMs;
    const now = this.#clock.now();
    return Math.ceil((now + tickMs) / TOGETHER_MS) * TOGETHER_MS - now;
  }

  #random(): number {
    return (this.#options.random ?? Math.random)();
  }

  async #sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
    const sleep = new AbortController();
    const stop = () => sleep.abort();
    this.#wakeUp = stop;
    signal?.addEventListener("abort", stop);
    if (signal?.aborted) stop();
    await this.#clock.sleep(ms, sleep.signal);
    signal?.removeEventListener("abort", stop);
    this.#wakeUp = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { wd, watch } of this.#watches.values()) {
      this.#events.remove(wd, watch);
    }
    this.#watches.clear();
    await this.#events.settled();
  }
}
