/**
 * Locks of the whole machine as they come and go, told by the kernel.
 *
 * @module
 */

import type { ProcLock } from "../proc/proc_locks.ts";
import type { TraceEvent } from "../proc/trace/trace_event.ts";
import { monotonicNs, timeOfDayMs } from "../sys/boot_clock.ts";
import type { LockActivity, TracedFile } from "./activity.ts";
import type { FileFilterOptions } from "./file_filter.ts";
import { TraceInstance } from "./instance.ts";
import { type EventBatch, TraceReader } from "./reader.ts";
import { readLockListing } from "./lock_listing.ts";
import { openTracefs } from "./tracefs.ts";
import { LockTracker } from "./tracker.ts";

/** What {@linkcode traceLocks} takes. */
export interface TraceOptions extends FileFilterOptions {
  /** Ends the trace when it aborts; the last batch still comes. */
  signal?: AbortSignal | undefined;
  /**
   * Room for events that are not read yet, in KiB for each CPU. By default all
   * CPUs share 256 MiB or a 32nd of the free memory, of which each gets 1 to 64.
   */
  bufferKb?: number | undefined;
  /** How long to wait for more before a batch is read, in milliseconds; 4. */
  batchMs?: number | undefined;
}

/** What happened since the batch before. */
export interface TraceBatch {
  /** It, in order. */
  activities: LockActivity[];
  /** Events of the kernel that were lost since the batch before. */
  lost: number;
  /** Events of the kernel that were read so far. */
  totalReceived: number;
  /** Events of the kernel that were lost so far. */
  totalLost: number;
  /** Up to when this tells all, in milliseconds since 1970. */
  untilMs: number;
}

/** How long a wait for events goes on without a look at the signal, in ms. */
const MAX_WAIT_MS = 50;

/** After so long without an event the next is waited for, in ms. */
const QUIET_MS = 100;

/** Who is behind lets nothing else happen for so long, in ms. */
const MAX_TURN_MS = 20;

/** More files than this make the kernel's filter slower than none. */
const MAX_FILTERED = 16;

/** /proc/locks isn't read more often than this, in ns. */
const CHECK_INTERVAL_NS = 50e6;

/**
 * Tells what happens to the locks of all programs: flock(2), POSIX and OFD
 * record locks and leases, as the kernel's own tracepoints have it.
 *
 * The first batch tells what is held already; the trace is on when it comes.
 * The kernel is switched back when the loop ends, however it ends; only a
 * tracer that is killed leaves its buffers behind, which the next one removes.
 * The locks of this process are left out.
 *
 * A program that does nothing but open, lock and close a file takes about a
 * fifth longer for it; one that doesn't lock, no longer.
 *
 * Permissions: `--allow-ffi`; root, in the initial pid namespace. See
 * Documentation/trace/events.rst, flock(2), fcntl(2).
 *
 * @param options What to trace, and until when.
 * @returns Batches, at most every few milliseconds; none while nothing happens.
 * @throws {TraceUnavailableError} without root or where the kernel can't.
 *
 * @example
 * ```ts ignore
 * import { traceLocks } from "@holdfast/holdfast/trace";
 *
 * const signal = AbortSignal.timeout(10_000);
 * for await (const { activities } of traceLocks({ signal })) {
 *   for (const { event, file, process } of activities) {
 *     console.log(event, file.path, process.command);
 *   }
 * }
 * ```
 */
export async function* traceLocks(
  options: TraceOptions = {},
): AsyncGenerator<TraceBatch, void, void> {
  const { signal, batchMs = 4 } = options;
  using tracefs = openTracefs();
  using instance = TraceInstance.create(tracefs.root, {
    bufferKb: options.bufferKb,
    lockFilter: inodeFilter(options.onlyFiles),
  });
  const session = new Session(instance, options);
  yield session.start();
  let quietSinceMs = performance.now();
  let pausedMs = quietSinceMs;
  while (!signal?.aborted) {
    // While much happens a timer is enough: a wait needs another thread.
    const isQuiet = performance.now() - quietSinceMs > QUIET_MS;
    if (isQuiet) await session.reader.wait(MAX_WAIT_MS);
    if (signal?.aborted) break;
    const batch = session.next();
    if (session.hasRead) quietSinceMs = performance.now();
    if (batch !== undefined) yield batch;
    // Timers and signals get their turn, however much there is to do.
    if (!session.isBehind) await pause(batchMs);
    else if (performance.now() - pausedMs < MAX_TURN_MS) continue;
    else await pause(0);
    pausedMs = performance.now();
  }
  do yield session.finish(); while (session.isBehind);
}

/** The filter of tracefs for some files; without their devices it is close. */
function inodeFilter(
  files: readonly TracedFile[] | undefined,
): string | undefined {
  if (files === undefined || files.length === 0) return undefined;
  if (files.length > MAX_FILTERED) return undefined;
  return files.map(({ inode }) => `i_ino == ${inode}`).join(" || ");
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** What /proc/locks told, and when it was read. */
interface Listing {
  fromNs: number;
  untilNs: number;
  locks: ProcLock[];
}

class Session {
  readonly reader: TraceReader;
  readonly #tracker: LockTracker;
  readonly #baseMs: number;
  #activities: LockActivity[] = [];
  #checkedNs = -Infinity;
  /** Whether there is more to be read at once. */
  isBehind = false;
  /** Whether there was anything to be read. */
  hasRead = false;
  /** Whether events were lost since /proc/locks was last compared. */
  #hasLost = false;

  constructor(instance: TraceInstance, options: TraceOptions) {
    this.reader = new TraceReader(instance);
    this.#baseMs = timeOfDayMs(this.reader.baseNs);
    const { wantsProcess } = options;
    this.#tracker = new LockTracker({
      baseMs: this.#baseMs,
      ownPid: Deno.pid,
      ...options,
      onActivity: (activity, { pid, ancestors }) => {
        if (wantsProcess?.([pid, ...ancestors]) ?? true) {
          this.#activities.push(activity);
        }
      },
    });
  }

  /** What is held at the beginning. */
  start(): TraceBatch {
    return this.#batch(this.#read(this.#list()));
  }

  /** What has happened since; `undefined` for nothing. */
  next(): TraceBatch | undefined {
    const isDue = (this.#tracker.needsCheck || this.#hasLost) &&
      !this.isBehind && this.#nowNs() - this.#checkedNs > CHECK_INTERVAL_NS;
    const told = this.#batch(this.#read(isDue ? this.#list() : undefined));
    return told.activities.length > 0 || told.lost > 0 ? told : undefined;
  }

  /** Stops, and tells what is left. */
  finish(): TraceBatch {
    const batch = this.reader.finish((event) => this.#tracker.feed(event));
    this.isBehind = batch.isBehind;
    if (!this.isBehind) this.#tracker.settle();
    return this.#batch(batch);
  }

  #list(): Listing {
    const fromNs = this.#nowNs();
    const locks = readLockListing();
    return { fromNs, untilNs: this.#nowNs(), locks };
  }

  /** Takes events, and in their midst the listing of that moment. */
  #read(listing?: Listing): EventBatch {
    const { reader } = this;
    const receivedBefore = reader.received;
    const lostBefore = reader.lost;
    let due = listing;
    const meanwhile: TraceEvent[] = [];
    const compare = (listing: Listing) => {
      if (reader.lost === lostBefore) this.#compare(listing, meanwhile);
      for (const event of meanwhile) this.#tracker.feed(event);
    };
    const batch = reader.read((event) => {
      if (due !== undefined && event.timeNs > due.fromNs) {
        if (event.timeNs <= due.untilNs) return void meanwhile.push(event);
        compare(due);
        due = undefined;
      }
      this.#tracker.feed(event);
    });
    this.#hasLost ||= reader.lost > lostBefore;
    this.isBehind = batch.isBehind;
    this.hasRead = reader.received > receivedBefore;
    if (due === undefined) return batch;
    // If not all is read by then, it is too early.
    if (!batch.isBehind) compare(due);
    else for (const event of meanwhile) this.#tracker.feed(event);
    return batch;
  }

  #compare({ locks, fromNs }: Listing, meanwhile: readonly TraceEvent[]): void {
    this.#checkedNs = fromNs;
    const hasLost = this.#hasLost;
    this.#hasLost = false;
    this.#tracker.reconcile(locks, fromNs, { hasLost, meanwhile });
  }

  #batch({ untilNs, lost }: EventBatch): TraceBatch {
    this.#tracker.endBatch(untilNs);
    const activities = this.#activities;
    this.#activities = [];
    return {
      activities,
      lost,
      totalReceived: this.reader.received,
      totalLost: this.reader.lost,
      untilMs: this.#baseMs + untilNs / 1e6,
    };
  }

  #nowNs(): number {
    return Number(monotonicNs() - this.reader.baseNs);
  }
}
