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
import { waitReadable } from "../sys/sleep.ts";
import { EventMerge } from "./event_merge.ts";
import type { CpuBuffer, TraceInstance } from "./instance.ts";

/** What was read of all CPUs, up to a moment. */
export interface EventBatch {
  /** Up to when, in nanoseconds since the reader was made. */
  untilNs: number;
  /** How many events were lost until then, of all kinds. */
  lost: number;
  /** Whether there is more to be read at once. */
  isBehind: boolean;
}

/** Gets the events of a batch, by time. */
export type EventTaker = (event: TraceEvent) => void;

/** More events than this are not made one batch. */
const MAX_EVENTS = 4096;

/** Where pages have the size of the machine's, as large as any has. */
const MAX_PAGE = 64 * 1024;

/** Reads the buffers of all CPUs. */
export class TraceReader {
  /** The moment of 0, in nanoseconds of CLOCK_MONOTONIC. */
  readonly baseNs: bigint = monotonicNs();
  readonly #instance: TraceInstance;
  readonly #decoder: EventDecoder;
  readonly #page = allocatePage(MAX_PAGE + 4096);
  readonly #merge: EventMerge<TraceEvent>;
  #received = 0;
  #lost = 0;

  /** @param instance What it reads; it doesn't dispose of it. */
  constructor(instance: TraceInstance) {
    this.#instance = instance;
    this.#decoder = new EventDecoder(instance.formats);
    this.#merge = new EventMerge(
      instance.buffers.map((buffer) => () => this.#readPage(buffer)),
    );
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
   * @param take Gets each event.
   * @throws {SyscallError} when a buffer can't be read.
   */
  read(take: EventTaker): EventBatch {
    return this.#readUntil(Number(monotonicNs() - this.baseNs), take);
  }

  /**
   * Stops the trace and reads what is left; if that is too much for one batch,
   * the last one is that which isn't behind. From then on `lost` is the
   * kernel's own count.
   *
   * @param take Gets each event.
   * @throws {SyscallError} when a buffer can't be read.
   */
  finish(take: EventTaker): EventBatch {
    this.#instance.stop();
    const batch = this.#readUntil(Infinity, take);
    if (batch.isBehind) return batch;
    // A page that was full to the brim could not tell how many.
    const untold = Math.max(0, this.#instance.readLost() - this.#lost);
    this.#lost += untold;
    const untilNs = Number(monotonicNs() - this.baseNs);
    return { ...batch, untilNs, lost: batch.lost + untold };
  }

  #readUntil(nowNs: number, take: EventTaker): EventBatch {
    const lostBefore = this.#lost;
    const round = this.#merge.round(nowNs, MAX_EVENTS, (event) => {
      this.#received++;
      take(event);
    });
    return { ...round, lost: this.#lost - lostBefore };
  }

  /** The events of the next page of a buffer, if there are any. */
  #readPage({ cpu, fd }: CpuBuffer): TraceEvent[] | undefined {
    const page = this.#page;
    const length = readNext(fd, page.bytes);
    if (length === -EAGAIN || length === 0) return undefined;
    if (length < 0) {
      throw new SyscallError(`read the trace of CPU ${cpu}`, {
        syscall: "read",
        errno: -length,
      });
    }
    const events: TraceEvent[] = [];
    const { lost } = walkRingPage(
      page,
      length,
      this.#instance.pageLayout,
      this.baseNs,
      (offset, _length, timeNs) => {
        const event = this.#decoder.decode(page, offset, timeNs);
        if (event !== undefined) events.push(event);
      },
    );
    this.#lost += lost ?? 1;
    return events;
  }
}
