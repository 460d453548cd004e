import type { LinkNames } from "./names.ts";
import { explain, type StoredOwner } from "./stored_owner.ts";
import { carries, newOwner, removeIfAny, writeCandidate } from "./protocol.ts";

/** The shortest lease, in milliseconds. */
export const MIN_LEASE_MS = 100;

/** A timer for more than 31 bits of milliseconds, 24 days, fires at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Two mtimes of one server clock, each of which may be a tick late. */
const CLOCK_TICK_MS = 100;

/**
 * The clock of the file server: the mtime it gives to a file written now. The
 * local clock is never compared with it.
 */
export function readServerClock(names: LinkNames): number {
  const owner = newOwner({ fence: 1, message: null, leaseMs: null });
  try {
    return writeCandidate(names, owner);
  } finally {
    removeIfAny(names.candidate(owner.token));
  }
}

/** Whether a lease has run out at some time of the server's clock. */
export function isLeaseOver(stored: StoredOwner, serverNowMs: number): boolean {
  const { leaseMs } = stored.owner;
  return leaseMs !== null &&
    serverNowMs - stored.heartbeatMs > leaseMs + CLOCK_TICK_MS;
}

/**
 * Keeps the lease of a held lock alive by heartbeats, and tells when that
 * hasn't succeeded for the length of the lease.
 */
export class LeaseKeeper implements Disposable {
  readonly #names: LinkNames;
  readonly #token: string;
  readonly #leaseMs: number;
  readonly #onLost: (reason: string) => void;
  readonly #file: Deno.FsFile;
  readonly #lastByte: number;
  readonly #interval: ReturnType<typeof setInterval>;
  #deadline: ReturnType<typeof setTimeout> | undefined;
  #beat = readClocks();
  #beating = false;
  #ended = false;

  /**
   * Begins with the lock's record, just written.
   *
   * @param file The record, open for writing; closed in the end.
   * @param takenAt The clocks before the record was written.
   */
  constructor(
    names: LinkNames,
    token: string,
    leaseMs: number,
    file: Deno.FsFile,
    takenAt: Clocks,
    onLost: (reason: string) => void,
  ) {
    this.#names = names;
    this.#token = token;
    this.#leaseMs = leaseMs;
    this.#file = file;
    this.#lastByte = file.statSync().size - 1;
    this.#onLost = onLost;
    this.#beat = takenAt;
    this.#interval = setInterval(
      () => void this.#tryBeat(),
      Math.min(leaseMs / 3, MAX_TIMER_MS),
    );
    Deno.unrefTimer(this.#interval);
    this.#setDeadline();
  }

  /** Whether the lease has not run out, by the clocks of this host. */
  get isAlive(): boolean {
    return elapsedMs(this.#beat) < this.#leaseMs;
  }

  async #tryBeat(): Promise<void> {
    // One that hangs in the file server is waited for, not doubled.
    if (this.#beating || this.#ended) return;
    this.#beating = true;
    const start = readClocks();
    try {
      // A byte that is there already: the server sets the mtime by its clock.
      await this.#file.seek(this.#lastByte, Deno.SeekMode.Start);
      await this.#file.write(NEWLINE);
      await this.#file.sync();
      if (this.#ended) return;
      if (!this.isAlive) return this.#lose("its lease ran out");
      if (!carries(this.#names, this.#token)) {
        return this.#lose("its name is gone or carries another lock");
      }
      this.#beat = start;
      this.#setDeadline();
    } catch {
      // The next beat may succeed; if none does, the deadline comes.
    } finally {
      this.#beating = false;
      if (this.#ended) this.#close();
    }
  }

  #setDeadline(): void {
    clearTimeout(this.#deadline);
    const leftMs = this.#leaseMs - elapsedMs(this.#beat);
    this.#deadline = setTimeout(
      () => {
        if (leftMs > MAX_TIMER_MS) this.#setDeadline();
        else this.#lose(`no heartbeat has succeeded for ${this.#leaseMs} ms`);
      },
      Math.min(Math.max(0, leftMs), MAX_TIMER_MS),
    );
    Deno.unrefTimer(this.#deadline);
  }

  #lose(reason: string): void {
    if (this.#ended) return;
    this[Symbol.dispose]();
    this.#onLost(reason);
  }

  /** Ends the heartbeats. */
  [Symbol.dispose](): void {
    if (this.#ended) return;
    this.#ended = true;
    clearInterval(this.#interval);
    clearTimeout(this.#deadline);
    if (!this.#beating) this.#close();
  }

  #close(): void {
    try {
      this.#file.close();
    } catch {
      // Closed already.
    }
  }
}

const NEWLINE = new Uint8Array([0x0a]);

/** Two clocks of this host. */
export interface Clocks {
  /** Stands still while the host is suspended. */
  monotonicMs: number;
  /** May be set forward and back. */
  wallMs: number;
}

/** Reads both clocks. */
export function readClocks(): Clocks {
  return { monotonicMs: performance.now(), wallMs: Date.now() };
}

/** The longer of both times: one clock sleeps, the other jumps. */
function elapsedMs(since: Clocks): number {
  const now = readClocks();
  return Math.max(
    now.monotonicMs - since.monotonicMs,
    now.wallMs - since.wallMs,
  );
}

/** Opens the record of a lock of our own for heartbeats. */
export function openForBeats(path: string, lockPath: string): Deno.FsFile {
  try {
    return Deno.openSync(path, { read: true, write: true });
  } catch (error) {
    throw explain("open the record of link lock", lockPath, error);
  }
}
