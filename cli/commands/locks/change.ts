import type {
  LockTable,
  TableLock,
  TableRange,
  TableWaiter,
} from "../../../lib/inspect/lock_table.ts";
import { readExertion } from "../../../lib/sys/process/process.ts";
import { JsonWriter, SCHEMA } from "./json.ts";

type Exertion = ReturnType<typeof readExertion>;

interface Seen<Entry> {
  entry: Entry;
  sinceMs: number;
  /** Whether it was there already when the watch began. */
  fromStart: boolean;
  /** Of a wait that is listed no more: whether its process was asleep since. */
  wasAsleep?: boolean;
}

/**
 * What changes from one reading to the next, as JSON lines: `held` and
 * `waiting` for what is there at first, then `acquired`, `released`,
 * `waiting`, `gave-up` (a wait that ended without the lock) and `holders` (a
 * lock that other processes hold now).
 *
 * What comes and goes between two readings is not seen. Times are those of the
 * readings. Who is woken is listed no more, and takes the lock when it gets a
 * CPU: that it gave up is known when it has been asleep without the lock, one
 * reading later.
 */
export class LockChanges {
  #locks = new Map<string, Seen<TableLock>>();
  #waiters = new Map<string, Seen<TableWaiter>>();
  readonly #look: (pid: number) => Exertion;
  /** Who is listed no more, and may be about to take the lock. */
  #woken: Seen<TableWaiter>[] = [];
  #isFirst = true;

  /** @param look What a process is about. */
  constructor(look: (pid: number) => Exertion = readExertion) {
    this.#look = look;
  }

  /** The lines for what is new in a reading. */
  *next(table: LockTable): Generator<string> {
    const writer = new JsonWriter(table.readAtMs);
    const { readAtMs } = table;
    const at = `"schema":${SCHEMA},"at":"${new Date(readAtMs).toISOString()}"`;
    const locks = this.#keyed(table.locks, this.#locks, lockKey, readAtMs);
    // A torn reading misses a line that the next one has.
    for (const seen of this.#woken) {
      const key = waiterKey(seen.entry);
      if (!this.#waiters.has(key)) this.#waiters.set(key, seen);
    }
    const waiters = this.#keyed(
      table.waiters,
      this.#waiters,
      waiterKey,
      readAtMs,
    );
    const ended = [...this.#waiters]
      .filter(([key]) => !waiters.has(key)).map(([, seen]) => seen);
    const endedByKey = Map.groupBy(ended, ({ entry }) => waiterKey(entry));
    const woken: Seen<TableWaiter>[] = [];

    for (const [key, { entry, sinceMs, fromStart }] of this.#locks) {
      if (locks.has(key)) continue;
      yield `{${at},"event":"released","observedMs":${readAtMs - sinceMs},` +
        `"fromStart":${fromStart},"lock":${writer.lock(entry)}}\n`;
    }
    for (const [key, { entry }] of locks) {
      const before = this.#locks.get(key);
      if (before !== undefined) {
        if (holderKey(before.entry) === holderKey(entry)) continue;
        yield `{${at},"event":"holders","lock":${writer.lock(entry)}}\n`;
      } else if (this.#isFirst) {
        yield `{${at},"event":"held","lock":${writer.lock(entry)}}\n`;
      } else {
        const wish = takeWish(endedByKey, entry);
        const waited = wish === undefined ? null : readAtMs - wish.sinceMs;
        yield `{${at},"event":"acquired","observedWaitMs":${waited},` +
          `"lock":${writer.lock(entry)}}\n`;
      }
    }
    for (const seen of [...endedByKey.values()].flat()) {
      const { entry, sinceMs } = seen;
      if (this.#mayTakeIt(seen)) {
        woken.push(seen);
        continue;
      }
      yield `{${at},"event":"gave-up","observedMs":${readAtMs - sinceMs},` +
        `"waiter":${writer.waiter(entry)}}\n`;
    }
    for (const [key, { entry }] of waiters) {
      if (this.#waiters.has(key)) continue;
      yield `{${at},"event":"waiting","waiter":${writer.waiter(entry)}}\n`;
    }
    this.#locks = locks;
    this.#waiters = waiters;
    this.#woken = woken;
    this.#isFirst = false;
  }

  #mayTakeIt(wait: Seen<TableWaiter>): boolean {
    const pid = wait.entry.process?.pid;
    if (pid === undefined || wait.wasAsleep) return false;
    const exertion = this.#look(pid);
    wait.wasAsleep = exertion === "asleep";
    return exertion !== "ended";
  }

  /** The entries by what stays the same of them; look-alikes are numbered. */
  #keyed<Entry>(
    entries: readonly Entry[],
    known: ReadonlyMap<string, Seen<Entry>>,
    keyOf: (entry: Entry) => string,
    nowMs: number,
  ): Map<string, Seen<Entry>> {
    const keyed = new Map<string, Seen<Entry>>();
    for (const entry of entries) {
      const plain = keyOf(entry);
      let key = plain;
      for (let n = 2; keyed.has(key); n++) key = `${plain} #${n}`;
      const before = known.get(key);
      keyed.set(key, {
        entry,
        sinceMs: before?.sinceMs ?? nowMs,
        fromStart: before?.fromStart ?? this.#isFirst,
      });
    }
    return keyed;
  }
}

/** The wait that ended in this lock. */
function takeWish(
  ended: ReadonlyMap<string, Seen<TableWaiter>[]>,
  lock: TableLock,
): Seen<TableWaiter> | undefined {
  for (const { process } of lock.holders) {
    const wish = ended.get(`${process?.pid} ${rangeKey(lock)}`)?.shift();
    if (wish !== undefined) return wish;
  }
  return undefined;
}

function rangeKey(range: TableRange): string {
  const { type, mode, file, startByte, endByte } = range;
  return `${type} ${mode} ${file.major}:${file.minor}:${file.inode} ` +
    `${startByte} ${endByte}`;
}

/** A lock without a taker's pid is known by its first holder's descriptor. */
function lockKey(lock: TableLock): string {
  const [first] = lock.holders;
  const owner = lock.takerPid ?? `${first?.process?.pid}/${first?.fds[0]}`;
  return `${owner} ${rangeKey(lock)}`;
}

/** What stays the same of a waiter from one reading to the next. */
export function waiterKey(waiter: TableWaiter): string {
  return `${waiter.process?.pid} ${rangeKey(waiter)}`;
}

function holderKey({ holders }: TableLock): string {
  return holders.map(({ process, fds }) => `${process?.pid}:${fds}`).join(" ");
}
