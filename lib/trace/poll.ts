/**
 * Locks as they come and go, as far as looking at /proc/locks again and again
 * shows them.
 *
 * @module
 */

import { parseProcLocks, type ProcLock } from "../proc/proc_locks.ts";
import { readText } from "../sys/file.ts";
import { readExertion } from "../sys/process/process.ts";
import type { LockActivity } from "./activity.ts";
import { FileFilter, type FileFilterOptions } from "./file_filter.ts";
import type { Hold } from "./holds.ts";
import { type ListedLock, readLockType } from "./listed_holds.ts";
import { LockState, msSince } from "./lock_state.ts";
import type { TraceBatch } from "./session.ts";
import { systemClock } from "../wait/clock.ts";

/** What {@linkcode pollLocks} takes. */
export interface PollOptions extends FileFilterOptions {
  /** Ends it when it aborts. */
  signal?: AbortSignal | undefined;
  /** How long from one look to the next, in milliseconds; 20. */
  intervalMs?: number | undefined;
}

/**
 * Looks at /proc/locks again and again, and tells what has changed.
 *
 * Needs no root and no tracing. What comes and goes between two looks is
 * missed, refusals always are, times are those of the looks, and a lock that is
 * released and taken again by the same process in between is one.
 *
 * Permissions: `--allow-ffi`. See proc_locks(5).
 *
 * @param options What to look at, and until when.
 * @returns Batches, one a look; none where nothing has changed.
 * @throws {SyscallError} when /proc/locks can't be read.
 */
export async function* pollLocks(
  options: PollOptions = {},
): AsyncGenerator<TraceBatch, void, void> {
  const { signal, intervalMs = 20 } = options;
  const poller = new Poller(options);
  yield poller.look();
  while (!signal?.aborted) {
    await systemClock.sleep(intervalMs, signal);
    const batch = poller.look();
    if (batch.activities.length > 0) yield batch;
  }
}

/** The key of the lock that a wait is for. */
function heldKey(wish: string): string {
  return wish.replace(/^true/, "false");
}

/** Tells locks apart that look the same. */
const TWIN = " #";

class Poller {
  readonly #baseMs = performance.timeOrigin;
  readonly #state: LockState;
  readonly #filter: FileFilter;
  #activities: LockActivity[] = [];
  #holds = new Map<string, Hold>();
  #waits = new Map<string, PolledWait>();
  #isFirst = true;
  #looks = 0;

  constructor(options: FileFilterOptions) {
    this.#state = new LockState(
      this.#baseMs,
      (activity) => this.#activities.push(activity),
    );
    this.#filter = new FileFilter(this.#state, options);
  }

  look(): TraceBatch {
    const nowNs = performance.now() * 1e6;
    const listed = this.#keyed(readLocks());
    if (this.#isDoubtful(listed)) this.#lookAgain(listed);
    this.#dropReleased(listed, nowNs);
    for (const [key, lock] of listed) {
      if (!lock.blocked) this.#hold(key, lock, listed, nowNs);
    }
    this.#follow(listed, nowNs);
    this.#isFirst = false;
    this.#filter.nextBatch();
    this.#state.processes.forgetIdle();
    const activities = this.#activities;
    this.#activities = [];
    const untilMs = this.#baseMs + nowNs / 1e6;
    const totalReceived = ++this.#looks;
    return { activities, lost: 0, totalReceived, totalLost: 0, untilMs };
  }

  /**
   * Whether a waiter that is listed no more may be about to take the lock: who
   * is woken takes it when it gets a CPU. Who was asleep at the last look, and
   * doesn't hold it now, has given up.
   */
  #mayTakeIt(wait: PolledWait): boolean {
    const { process } = wait.subject;
    if (wait.wasAsleep || this.#state.processes.checkEnded(process)) {
      return false;
    }
    wait.wasAsleep = readExertion(process.pid) !== "awake";
    return true;
  }

  /** Whether a lock is missing, or is there twice, or a wait seems given up. */
  #isDoubtful(listed: ReadonlyMap<string, PolledLock>): boolean {
    for (const key of this.#holds.keys()) if (!listed.has(key)) return true;
    for (const key of listed.keys()) if (this.#isNewTwin(key)) return true;
    for (const [key, wait] of this.#waits) {
      const isListed = listed.has(key) || listed.has(heldKey(key));
      if (wait.wasAsleep && !isListed) return true;
    }
    return false;
  }

  #isNewTwin(key: string): boolean {
    return key.includes(TWIN) && !this.#holds.has(key);
  }

  /**
   * The kernel makes the list a page at a time; what comes and goes meanwhile
   * moves other lines across the border. Who is missing twice is gone, and who
   * is twice there each time holds two.
   */
  #lookAgain(listed: Map<string, PolledLock>): void {
    const again = this.#keyed(readLocks());
    for (const key of this.#holds.keys()) {
      const lock = again.get(key);
      if (lock !== undefined && !listed.has(key)) listed.set(key, lock);
    }
    for (const wish of this.#waits.keys()) {
      for (const key of [wish, heldKey(wish)]) {
        const lock = again.get(key);
        if (lock !== undefined && !listed.has(key)) listed.set(key, lock);
      }
    }
    for (const key of [...listed.keys()]) {
      if (this.#isNewTwin(key) && !again.has(key)) listed.delete(key);
    }
  }

  /** The lines that count, by what stays the same of them. */
  #keyed(locks: readonly ProcLock[]): Map<string, PolledLock> {
    const keyed = new Map<string, PolledLock>();
    for (const lock of locks) {
      const { device, inode, pid, blocked, access } = lock;
      const { startByte, endByte } = lock;
      const type = readLockType(lock.type);
      if (type === undefined || device === undefined || pid === Deno.pid) {
        continue;
      }
      const file = this.#state.files.find(device.major, device.minor, inode);
      const mode = access === "READ" ? "READ" : "WRITE";
      const plain = `${blocked} ${type} ${mode} ${pid} ` +
        `${device.major}:${device.minor}:${inode} ${startByte} ${endByte}`;
      let key = plain;
      for (let n = 2; keyed.has(key); n++) key = `${plain}${TWIN}${n}`;
      keyed.set(key, { file, type, mode, pid, startByte, endByte, blocked });
    }
    return keyed;
  }

  #dropReleased(listed: ReadonlyMap<string, PolledLock>, nowNs: number): void {
    for (const [key, hold] of this.#holds) {
      if (listed.has(key)) continue;
      this.#holds.delete(key);
      this.#state.end(hold, nowNs);
    }
  }

  #hold(
    key: string,
    lock: PolledLock,
    listed: ReadonlyMap<string, PolledLock>,
    nowNs: number,
  ): void {
    if (this.#holds.has(key)) return;
    const subject = this.#subject(lock);
    if (subject === undefined) return;
    const { file, process } = subject;
    const hold: Hold = {
      ...subject,
      owner: undefined,
      takerPid: lock.pid,
      sinceNs: this.#isFirst ? undefined : nowNs,
    };
    this.#holds.set(key, hold);
    const wish = key.replace(/^false/, "true");
    const wait = listed.has(wish) ? undefined : this.#waits.get(wish);
    if (wait !== undefined) this.#waits.delete(wish);
    const event = this.#isFirst ? "held" : "acquired";
    const waitedMs = msSince(wait?.sinceNs, nowNs);
    const alsoHeld = this.#state.alsoHeld(file, process, nowNs);
    this.#state.add(hold);
    this.#state.emit(event, file, hold, process, nowNs, {
      waitedMs,
      alsoHeld,
      canWait: waitedMs !== undefined,
    });
  }

  /** Waits that have begun, and those that ended without the lock. */
  #follow(listed: ReadonlyMap<string, PolledLock>, nowNs: number): void {
    const waits = new Map<string, PolledWait>();
    for (const [key, lock] of listed) {
      if (!lock.blocked) continue;
      const before = this.#waits.get(key);
      if (before !== undefined) {
        before.goneNs = undefined;
        before.wasAsleep = false;
        waits.set(key, before);
        this.#waits.delete(key);
        continue;
      }
      const subject = this.#subject(lock);
      if (subject === undefined) continue;
      const { file, process } = subject;
      waits.set(key, { subject, sinceNs: nowNs });
      const wish = { ...subject, owner: NaN };
      this.#state.emit("waiting", file, subject, process, nowNs, {
        holders: this.#state.inTheWay(file, wish, nowNs),
        alsoHeld: this.#state.alsoHeld(file, process, nowNs),
        canWait: true,
      });
    }
    for (const [key, wait] of this.#waits) {
      const { subject, sinceNs } = wait;
      const { file, process } = subject;
      wait.goneNs ??= nowNs;
      if (this.#mayTakeIt(wait)) {
        waits.set(key, wait);
        continue;
      }
      const waitedMs = msSince(sinceNs, wait.goneNs);
      const more = { waitedMs, canWait: true };
      this.#state.emit("gave-up", file, subject, process, nowNs, more);
    }
    this.#waits = waits;
  }

  #subject(lock: PolledLock): Subject | undefined {
    const { file, pid } = lock;
    const process = this.#state.processes.get(pid);
    if (!this.#filter.wants(file, process)) return undefined;
    return { ...lock, process, threadId: pid };
  }
}

interface PolledLock extends ListedLock {
  file: Hold["file"];
  blocked: boolean;
}

interface PolledWait {
  subject: Subject;
  sinceNs: number;
  /** When it was first missing. */
  goneNs?: number | undefined;
  /** Whether it was asleep then, after the locks were listed. */
  wasAsleep?: boolean;
}

type Subject = PolledLock & Pick<Hold, "process" | "threadId">;

function readLocks(): ProcLock[] {
  return parseProcLocks(readText("/proc/locks"), { onError: () => {} });
}
