/**
 * The events of a trace instance, in the order of their times.
 *
 * @module
 */

import { allocatePage, walkRingPage } from "../proc/trace/ring_page.ts";
import { EventDecoder, type TraceEvent } from "../proc/trace/trace_event.ts";
import { monotonicNs } from "../sys/boot_clock.ts";
import { readNext } from "../sys/file.ts";
import { EAGAIN } from "../sys/errno.ts";
import { SyscallError } from "../sys/error.ts";
import { waitReadable } from "../sys/readable.ts";
import type { TraceInstance } from "./instance.ts";

/** Events of all CPUs up to a moment. */
export interface EventBatch {
  /** The events, by time. */
  events: TraceEvent[];
  /** Up to when, in nanoseconds since the reader was made. */
  untilNs: number;
  /** How many were lost among them, of all kinds. */
  lost: number;
  /** Whether there is more to be read at once. */
  isBehind: boolean;
}

/**
 * So much of each buffer makes one batch: a larger one would outlive the
 * garbage collector's nursery, which costs three times the time.
 */
const BATCH_BYTES = 1024 * 1024;

/** Where pages have the size of the machine's, as large as any has. */
const LARGEST_PAGE = 64 * 1024;

/** Reads the buffers of all CPUs. */
export class TraceReader {
  /** The moment of 0, in nanoseconds of CLOCK_MONOTONIC. */
  readonly baseNs: bigint = monotonicNs();
  readonly #instance: TraceInstance;
  readonly #decoder: EventDecoder;
  readonly #page = allocatePage(LARGEST_PAGE + 4096);
  #received = 0;
  #lost = 0;
  /** Read already, but of a time for which other CPUs are not read yet. */
  #early: TraceEvent[] = [];

  /** @param instance What it reads; it doesn't dispose of it. */
  constructor(instance: TraceInstance) {
    this.#instance = instance;
    this.#decoder = new EventDecoder(instance.formats);
  }

  /** How many events were read. */
  get received(): number {
    return this.#received;
  }

  /** How many events were lost before they could be read. */
  get lost(): number {
    return this.#lost;
  }

  /**
   * Waits until there are events.
   *
   * @param timeoutMs The longest wait in milliseconds.
   */
  async wait(timeoutMs: number): Promise<void> {
    const fds = this.#instance.buffers.map(({ fd }) => fd);
    await waitReadable(fds, timeoutMs);
  }

  /**
   * Reads what has happened up to now.
   *
   * An event is written on the CPU where it happens. All buffers are read to
   * their ends after the clock: what is older is then complete, and what is
   * younger waits for the next batch.
   *
   * @throws {SyscallError} when a buffer can't be read.
   */
  read(): EventBatch {
    return this.#readUntil(Number(monotonicNs() - this.baseNs));
  }

  /**
   * Stops the trace and reads what is left; if that is too much for one batch,
   * the last one is that which isn't behind. From then on `lost` is the
   * kernel's own count.
   *
   * @throws {SyscallError} when a buffer can't be read.
   */
  finish(): EventBatch {
    this.#instance.stop();
    const batch = this.#readUntil(Infinity);
    if (batch.isBehind) return batch;
    // A page that was full to the brim could not tell how many.
    const untold = Math.max(0, this.#instance.readLost() - this.#lost);
    this.#lost += untold;
    const untilNs = Number(monotonicNs() - this.baseNs);
    return { ...batch, untilNs, lost: batch.lost + untold };
  }

  #readUntil(nowNs: number): EventBatch {
    const lostBefore = this.#lost;
    const events = this.#early;
    let untilNs = nowNs;
    let isBehind = false;
    for (const { cpu, fd } of this.#instance.buffers) {
      const readUpToNs = this.#drain(cpu, fd, nowNs, events);
      if (readUpToNs >= nowNs) continue;
      isBehind = true;
      untilNs = Math.min(untilNs, readUpToNs);
    }
    // Each buffer's events are in order: sorting merges runs.
    events.sort((a, b) => a.timeNs - b.timeNs);
    let end = events.length;
    while (end > 0 && events[end - 1]!.timeNs > untilNs) end--;
    this.#early = events.slice(end);
    events.length = end;
    this.#received += end;
    return { events, untilNs, lost: this.#lost - lostBefore, isBehind };
  }

  /** Up to when all is read of a buffer now. */
  #drain(
    cpu: number,
    fd: number,
    untilNs: number,
    events: TraceEvent[],
  ): number {
    const page = this.#page;
    const decoder = this.#decoder;
    const { pageLayout } = this.#instance;
    let lastNs = -Infinity;
    const visit = (offset: number, _length: number, timeNs: number) => {
      lastNs = timeNs;
      const event = decoder.decode(page, offset, timeNs);
      if (event !== undefined) events.push(event);
    };
    // A CPU may write faster than it is read: what it wrote by now is enough.
    let left = BATCH_BYTES;
    while (lastNs <= untilNs) {
      if (left <= 0) return lastNs;
      const length = readNext(fd, page.bytes);
      if (length === -EAGAIN || length === 0) return untilNs;
      if (length < 0) {
        throw new SyscallError(`read the trace of CPU ${cpu}`, {
          syscall: "read",
          errno: -length,
        });
      }
      const { baseNs } = this;
      const { lost } = walkRingPage(page, length, pageLayout, baseNs, visit);
      this.#lost += lost ?? 1;
      left -= length;
    }
    return untilNs;
  }
}
