/**
 * DISK SAFE LEDGER: takes locks of every kind in random turns on DISK, until
 * its stdin ends. LEDGER, which is outside of the disk that gets full, has a
 * line for each step; SAFE has the witnesses, and the logs that were rotated
 * away. Prints what is left in the end.
 */
import { acquire } from "../../lib/acquire/acquire.ts";
import { acquireAll } from "../../lib/acquire/group.ts";
import { acquireLinkLock } from "../../lib/acquire/link_lock.ts";
import {
  acquireBothLocks,
  acquireRecordLock,
} from "../../lib/acquire/record.ts";
import { appendToFile } from "../../lib/patterns/append.ts";
import { getOrBuild } from "../../lib/patterns/cache.ts";
import { collectLockFiles } from "../../lib/patterns/gc.ts";
import { acquireSlots } from "../../lib/patterns/slots.ts";
import { transformFile } from "../../lib/patterns/transform_file.ts";
import { acquireFair } from "../../lib/patterns/turnstile.ts";
import { LockTimeoutError } from "../../lib/wait/lock_timeout_error.ts";
import { enter } from "../patterns/support/witness.ts";
import { openDescriptors } from "../support/open_descriptors.ts";
import { CACHE_KEYS, soakRecord } from "./soak_files.ts";

const [disk, safe, ledgerPath] = Deno.args as [string, string, string];
// A process id may be another's before the soak is over.
const worker = ledgerPath.slice(ledgerPath.lastIndexOf("/ledger") + 7);
const ledger = Deno.openSync(ledgerPath, { create: true, append: true });
const text = new TextEncoder();
const ABORTED = new Error("the soak aborts this wait");

function below(count: number): number {
  return Math.floor(Math.random() * count);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function note(line: string): void {
  ledger.writeSync(text.encode(`${line}\n`));
}

type Limits = { timeoutMs: number; signal: AbortSignal };

/** Is inside with a lock; now and then its file is removed or renamed. */
async function inside(kind: string, path?: string): Promise<void> {
  {
    using _inside = enter(`${safe}/${kind}.inside`);
    await pause(below(3));
  }
  const chance = path === undefined ? 1 : Math.random();
  if (chance < 0.1) Deno.removeSync(path!);
  else if (chance < 0.2) Deno.renameSync(path!, `${path}.old.lock`);
}

const KINDS: Record<string, (limits: Limits, id: string) => Promise<void>> = {
  async flock(limits) {
    using lock = await acquire(`${disk}/flock.lock`, limits);
    await inside("flock", lock.path);
  },
  async posix(limits) {
    using lock = await acquireRecordLock(`${disk}/posix.lock`, {
      ...limits,
      kind: "posix",
    });
    await inside("posix", lock.path);
  },
  async ofd(limits) {
    using lock = await acquireRecordLock(`${disk}/ofd.lock`, {
      ...limits,
      kind: "ofd",
    });
    await inside("ofd", lock.path);
  },
  async both(limits) {
    using lock = await acquireBothLocks(`${disk}/both.lock`, limits);
    await inside("both", lock.path);
  },
  async link(limits) {
    using _lock = await acquireLinkLock(`${disk}/link`, limits);
    await inside("link");
  },
  async fair(limits) {
    using _lock = await acquireFair(`${disk}/fair.lock`, limits);
    await inside("fair");
  },
  async slots(limits) {
    using held = await acquireSlots(`${disk}/soak.slots`, {
      ...limits,
      slots: 3,
      want: 2,
    });
    using stack = new DisposableStack();
    for (const slot of held.slots) stack.use(enter(`${safe}/slot${slot}.in`));
    await pause(below(3));
  },
  async groups(limits) {
    const names = ["a", "b", "c"].filter(() => Math.random() < 0.7);
    if (names.length === 0) names.push("a");
    if (Math.random() < 0.5) names.reverse();
    using _group = await acquireAll(
      names.map((name) => `${disk}/group-${name}.lock`),
      limits,
    );
    using stack = new DisposableStack();
    for (const name of names) stack.use(enter(`${safe}/group-${name}.in`));
    await pause(below(3));
  },
  async cache(limits) {
    const key = `key${below(CACHE_KEYS)}`;
    using entry = await getOrBuild(key, async (path) => {
      Deno.mkdirSync(path);
      Deno.writeTextFileSync(`${path}/one`, key);
      await pause(below(3));
      Deno.writeTextFileSync(`${path}/two`, key);
    }, { ...limits, directory: `${disk}/cache` });
    for (const part of ["one", "two"]) {
      if (Deno.readTextFileSync(`${entry.path}/${part}`) !== key) {
        throw new Error(`${entry.path} is not whole`);
      }
    }
  },
  async transform(limits, id) {
    await transformFile(`${disk}/transformed`, (content) => {
      const added = text.encode(`${id}\n`);
      const all = new Uint8Array(content.length + added.length);
      all.set(content);
      all.set(added, content.length);
      return all;
    }, { ...limits, create: true });
  },
  async append(limits, id) {
    const path = `${disk}/appended`;
    await appendToFile(path, `${soakRecord(id)}\n`, limits);
    if (Deno.statSync(path).size > ROTATED_BYTES) await rotate(path, limits);
  },
};

const ROTATED_BYTES = 1 << 18;

/** As logrotate(8) does: whoever appends meanwhile must not lose a record. */
async function rotate(path: string, limits: Limits): Promise<void> {
  using _lock = await acquire(path, limits);
  const { ino, size } = Deno.statSync(path);
  if (size <= ROTATED_BYTES) return;
  // Killed in between, it is done again with the same name.
  Deno.writeFileSync(`${safe}/appended.${ino}`, Deno.readFileSync(path));
  Deno.removeSync(path);
}

/** Whether a failure is one that the soak brings about itself. */
function outcomeOf(error: unknown): string | undefined {
  if (error === ABORTED) return "aborted";
  if (error instanceof LockTimeoutError) return "timeout";
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (/ENOSPC|os error 28/.test(cause.message)) return "full";
  }
  return undefined;
}

/** One turn; the ledger says before and after what becomes of it. */
async function round(kind: string, number: number): Promise<void> {
  const id = `${worker}-${number}`;
  const abort = new AbortController();
  const timer = Math.random() < 0.3
    ? setTimeout(() => abort.abort(ABORTED), below(40))
    : undefined;
  note(`begin ${kind} ${id}`);
  try {
    await KINDS[kind]!({
      timeoutMs: Math.random() < 0.3 ? below(40) : 60_000,
      signal: abort.signal,
    }, id);
    note(`done ${kind} ${id}`);
  } catch (error) {
    const outcome = outcomeOf(error);
    const told = outcome ?? `fault ${JSON.stringify(String(error))}`;
    note(`${outcome ?? "fault"} ${kind} ${id} ${told}`);
  } finally {
    clearTimeout(timer);
  }
}

/** Waits for a lock, which makes what waits share for as long as it runs. */
async function waitInVain(): Promise<void> {
  const path = `${safe}/${Deno.pid}.busy`;
  {
    using _lock = await acquire(path);
    try {
      using _second = await acquire(path, { timeoutMs: 20 });
    } catch (error) {
      if (!(error instanceof LockTimeoutError)) throw error;
    }
  }
  Deno.removeSync(path);
}

function threads(): number {
  return [...Deno.readDirSync("/proc/self/task")].length;
}

const kinds = Object.keys(KINDS);
let ended = false;
Deno.stdin.read(new Uint8Array(1)).then(() => ended = true);
let number = 0;
// What is opened once for all is open after one turn of each kind.
for (const kind of kinds) await round(kind, number++);
await waitInVain();
const descriptors = openDescriptors();
const threadsBefore = threads();
console.log("ready");
while (!ended) {
  await round(kinds[below(kinds.length)]!, number++);
  if (number % 50 === 0) collectLockFiles(disk);
}
/** What is open that wasn't. */
const left = () =>
  openDescriptors().filter((name) => !descriptors.includes(name));
// A thread of ours closes what it waited on a moment after the wait; the
// runtime's helper threads end 10 s after their last use.
for (
  let wait = 0;
  wait < 150 && (threads() > threadsBefore || left().length > 0);
  wait++
) await pause(100);
console.log(JSON.stringify({
  descriptors: left(),
  threads: Math.max(0, threads() - threadsBefore),
}));
