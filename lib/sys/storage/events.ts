/**
 * The kernel's news of files, by inotify(7): what ends a wait without polling.
 *
 * `Deno.watchFs` would do, but asks for `--allow-read`, keeps a thread of its
 * own for each watcher and watches names; this asks for nothing beyond
 * `--allow-ffi`, has one instance for all waits of the isolate, and watches the
 * very file that is open.
 *
 * @module
 */

import { callLibc, cString } from "../call.ts";
import { EAGAIN } from "../errno.ts";
import { noteOpened, O_CLOEXEC, O_NONBLOCK, readNext } from "../file.ts";
import { libc } from "../libc.ts";
import {
  closeElsewhere,
  parkCall,
  type ParkedCall,
} from "../thread/parked_call.ts";

/** Someone has closed the file: it is when most locks end. */
export const IN_CLOSE = 0x18;
/** An entry was renamed away from the directory. */
export const IN_MOVED_FROM = 0x40;
/** An entry was renamed into the directory. */
export const IN_MOVED_TO = 0x80;
/** An entry was removed from the directory. */
export const IN_DELETE = 0x200;

const IN_Q_OVERFLOW = 0x4000;
const IN_IGNORED = 0x8000;
const IN_MASK_ADD = 0x20000000;

const POLLIN = 1;

/** A poll(2) ends by itself so that a terminated Worker, whose waits nobody
 * cancels, leaves no thread behind. */
const POLL_MS = 5000;

/** How often waking code gets to run before an unused instance is closed. */
const TAKE_OVER_TURNS = 32;

/** What a waiter wants to hear of, and whether it has. */
export interface Watch {
  /** The kinds of events, `IN_` bits. */
  readonly mask: number;
  /** The directory's entry it is about; `undefined` for the file itself. */
  readonly name: string | undefined;
  /** Called for each such event, and when some may have been missed. */
  readonly onEvent: () => void;
}

const decoder = new TextDecoder();

/**
 * All watches of one isolate: one inotify instance, and one poll(2) on a thread
 * of its own while anybody waits.
 *
 * The instance is opened with the first watch and closed with the last.
 */
export class FileEvents {
  #inotify = -1;
  readonly #watches = new Map<number, Set<Watch>>();
  #poll: ParkedCall | undefined;
  #closing: Promise<void> | undefined;
  readonly #events = new Uint8Array(16 * 1024);

  /**
   * Starts to watch a file or directory; again for the same does no harm.
   *
   * @param path The file; `/proc/self/fd/N` for one that is open.
   * @param watch What to report and where to.
   * @returns A number for the file, or minus the error number.
   */
  add(path: string, watch: Watch): number {
    const opened = this.#open();
    if (opened < 0) return opened;
    const name = cString(path);
    const wd = callLibc(() =>
      libc.inotify_add_watch(this.#inotify, name, watch.mask | IN_MASK_ADD)
    );
    if (wd < 0) return wd;
    const sharing = this.#watches.get(wd);
    if (sharing === undefined) this.#watches.set(wd, new Set([watch]));
    else sharing.add(watch);
    return wd;
  }

  /** Ends a watch. */
  remove(wd: number, watch: Watch): void {
    const sharing = this.#watches.get(wd);
    if (sharing?.delete(watch) && sharing.size === 0) {
      this.#watches.delete(wd);
      libc.inotify_rm_watch(this.#inotify, wd);
    }
  }

  /**
   * Has events delivered from now on, until the next one has been.
   *
   * @returns Whether that can be: it takes a thread.
   */
  listen(): boolean {
    if (this.#poll !== undefined) return true;
    if (this.#inotify < 0) return false;
    // struct pollfd: int fd, short events, short revents
    const pollFd = new Int32Array([this.#inotify, POLLIN]);
    const args = [new Uint8Array(pollFd.buffer), 1, POLL_MS];
    this.#poll = parkCall("poll", args);
    this.#poll?.ended.then(() => this.#onPolled());
    return this.#poll !== undefined;
  }

  /**
   * Closes the instance if nobody watches any more, and resolves when nothing
   * is left behind. Every user of {@linkcode FileEvents.add} calls it at its
   * end.
   *
   * The kernel makes whoever closes an instance wait until no reader can see
   * its late watches (fsnotify_wait_marks_destroyed), up to 20 ms: that is for
   * another thread, and the next waiter in a queue gets the chance to take the
   * instance over.
   */
  async settled(): Promise<void> {
    for (let turns = 0; turns < TAKE_OVER_TURNS; turns++) {
      if (this.#watches.size > 0) return;
      await undefined;
    }
    while (
      this.#watches.size === 0 &&
      (this.#inotify >= 0 || this.#closing !== undefined)
    ) {
      this.#closing ??= this.#close();
      await this.#closing;
    }
  }

  async #close(): Promise<void> {
    try {
      this.#poll?.interrupt();
      await this.#poll?.ended;
      if (this.#watches.size > 0) return;
      const inotify = this.#inotify;
      this.#inotify = -1;
      await closeElsewhere(inotify);
    } finally {
      this.#closing = undefined;
    }
  }

  #open(): number {
    if (this.#inotify >= 0) return this.#inotify;
    const inotify = noteOpened(
      callLibc(() => libc.inotify_init1(O_CLOEXEC | O_NONBLOCK)),
    );
    if (inotify >= 0) this.#inotify = inotify;
    return inotify;
  }

  #onPolled(): void {
    this.#poll = undefined;
    const told = this.#deliver();
    // Those who have been told listen again when their attempt has failed.
    if (this.#count() === told || this.listen()) return;
    for (const sharing of this.#watches.values()) {
      for (const watch of sharing) watch.onEvent();
    }
  }

  #count(): number {
    let count = 0;
    for (const sharing of this.#watches.values()) count += sharing.size;
    return count;
  }

  /** Tells the watches, and how many have been told. */
  #deliver(): number {
    const told = new Set<Watch>();
    for (;;) {
      const length = readNext(this.#inotify, this.#events);
      if (length === -EAGAIN || length <= 0) break;
      this.#readEvents(length, told);
    }
    for (const watch of told) watch.onEvent();
    return told.size;
  }

  /* struct inotify_event: int wd; u32 mask; u32 cookie; u32 len;
   * char name[len], padded with NULs. */
  #readEvents(length: number, told: Set<Watch>): void {
    const view = new DataView(this.#events.buffer, 0, length);
    for (let at = 0; at < length;) {
      const wd = view.getInt32(at, true);
      const mask = view.getUint32(at + 4, true);
      const nameLength = view.getUint32(at + 12, true);
      const name = nameLength === 0
        ? undefined
        : this.#name(at + 16, nameLength);
      at += 16 + nameLength;
      if ((mask & IN_Q_OVERFLOW) !== 0) {
        for (const sharing of this.#watches.values()) {
          for (const watch of sharing) told.add(watch);
        }
        continue;
      }
      const sharing = this.#watches.get(wd) ?? [];
      // The kernel has dropped the watch: the file is gone or unmounted.
      const ignored = (mask & IN_IGNORED) !== 0;
      if (ignored) this.#watches.delete(wd);
      for (const watch of sharing) {
        if (ignored || ((mask & watch.mask) !== 0 && watch.name === name)) {
          told.add(watch);
        }
      }
    }
  }

  #name(start: number, length: number): string {
    const bytes = this.#events.subarray(start, start + length);
    return decoder.decode(bytes.subarray(0, bytes.indexOf(0)));
  }
}

/** The watches of this isolate. */
export const fileEvents: FileEvents = new FileEvents();
