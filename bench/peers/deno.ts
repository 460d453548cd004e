/**
 * One task of the benchmark in Deno: `deno.ts KIND TASK PATH [COUNT]`.
 *
 * @module
 */

import { acquire, tryAcquire } from "../../mod.ts";
import {
  blockFlock,
  openLockFile,
  tryFlock,
  tryFlockFd,
  unlockFlockFd,
} from "../../lib/lock/flock/mod.ts";
import {
  fOfdSetlk,
  fSetlk,
  type RecordLockRequest,
  tryRecordLock,
} from "../../lib/acquire/record_lock.ts";
import {
  closeFile,
  O_CLOEXEC,
  O_CREAT,
  O_RDWR,
  openFile,
} from "../../lib/sys/file.ts";

const { clock_gettime } = Deno.dlopen("libc.so.6", {
  clock_gettime: { parameters: ["i32", "buffer"], result: "i32" },
}).symbols;
const time = new BigInt64Array(16);

/** The monotonic clock that all processes share, in nanoseconds. */
function nowNs(): bigint {
  clock_gettime(1, time);
  return time[0]! * 1_000_000_000n + time[1]!;
}

type Take = (path: string) => Promise<() => void>;

const OPEN = { read: true, write: true, create: true };

const KINDS: Record<string, Take> = {
  async acquire(path) {
    const lock = await acquire(path);
    return () => lock.release();
  },
  block(path) {
    const lock = blockFlock(path)!;
    return Promise.resolve(() => lock.release());
  },
  async fsfile(path) {
    const file = Deno.openSync(path, OPEN);
    await file.lock(true);
    return () => file.close();
  },
  fsfileSync(path) {
    const file = Deno.openSync(path, OPEN);
    file.lockSync(true);
    return Promise.resolve(() => file.close());
  },
};

/** The lines of stdin, one at a time. */
async function* inputLines(): AsyncGenerator<string> {
  let rest = "";
  for await (
    const chunk of Deno.stdin.readable.pipeThrough(new TextDecoderStream())
  ) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
}

/** Prints how many nanoseconds one of so many calls takes. */
function measure(name: string, count: number, once: () => void): void {
  for (let i = 0; i < Math.min(count, 20_000); i++) once();
  const start = performance.now();
  for (let i = 0; i < count; i++) once();
  const ns = (performance.now() - start) / count * 1e6;
  console.log(JSON.stringify({ name, ns: Math.round(ns) }));
}

function records(path: string, count: number): void {
  const { fd } = openLockFile(path);
  const range = { startByte: 100n, lengthBytes: 10n };
  const lock: RecordLockRequest = { type: "write", ...range };
  const unlock: RecordLockRequest = { type: "unlock", ...range };
  for (const [name, set] of [["ofd", fOfdSetlk], ["posix", fSetlk]] as const) {
    measure(name, count, () => {
      if (!set(fd, lock)) throw new Error("the bench's file is locked");
      set(fd, unlock);
    });
  }
  measure(
    "acquire",
    count / 10,
    () => tryRecordLock(path, { range })!.release(),
  );
  closeFile(fd);
}

function uncontended(path: string, count: number): void {
  const { fd } = openLockFile(path);
  measure("descriptor", count, () => {
    tryFlockFd(fd);
    unlockFlockFd(fd);
  });
  closeFile(fd);
  measure("path", count, () => {
    const fd = openFile(path, O_RDWR | O_CREAT | O_CLOEXEC);
    tryFlockFd(fd);
    closeFile(fd);
  });
  measure("tryFlock", count, () => tryFlock(path)!.release());
  measure("tryAcquire", count, () => tryAcquire(path)!.release());
  const file = Deno.openSync(path, OPEN);
  measure("fsfile descriptor", count, () => {
    file.tryLockSync(true);
    file.unlockSync();
  });
  file.close();
  measure("fsfile path", count, () => {
    const file = Deno.openSync(path, OPEN);
    file.tryLockSync(true);
    file.close();
  });
}

/** A line N starts N waits at once. */
async function waiter(path: string, take: Take): Promise<void> {
  console.log("ready");
  for await (const line of inputLines()) {
    const waits = Array.from({ length: Number(line) || 1 }, async () => {
      const release = await take(path);
      const taken = nowNs();
      const released = nowNs();
      release();
      return `${taken} ${released}`;
    });
    console.log((await Promise.all(waits)).join("\n"));
  }
}

async function sections(
  path: string,
  count: number,
  take: Take,
): Promise<void> {
  console.log("ready");
  await inputLines().next();
  const waits: number[] = [];
  const cpuBefore = cpuMs();
  for (let i = 0; i < count; i++) {
    const start = performance.now();
    const release = await take(path);
    waits.push(performance.now() - start);
    hold();
    release();
  }
  const cpu = cpuMs() - cpuBefore;
  waits.sort((a, b) => a - b);
  console.log(
    JSON.stringify({ worst: waits.at(-1), median: waits[count >> 1], cpu }),
  );
  Deno.exit(0);
}

/** What a critical section does: nothing, for 0.1 ms. */
function hold(): void {
  const end = performance.now() + 0.1;
  while (performance.now() < end);
}

function cpuMs(): number {
  let ns = 0;
  for (const { name } of Deno.readDirSync("/proc/self/task")) {
    const text = Deno.readTextFileSync(`/proc/self/task/${name}/schedstat`);
    ns += Number(text.split(" ")[0]);
  }
  return ns / 1e6;
}

/** Waits COUNT times for one file, or for each of COUNT files, for ever. */
async function idle(paths: string[], take: Take): Promise<void> {
  const waits = paths.map((path) => take(path));
  console.log("ready");
  await Promise.all(waits);
}

const [kind, task, path, rawCount] = Deno.args;
const take = KINDS[kind!]!;
const count = Number(rawCount);
switch (task) {
  case "uncontended":
    uncontended(path!, count);
    break;
  case "records":
    records(path!, count);
    break;
  case "waiter":
    await waiter(path!, take);
    break;
  case "sections":
    await sections(path!, count, take);
    break;
  case "idle":
    await idle(Array.from({ length: count }, () => path!), take);
    break;
  case "idle-files":
    await idle(Array.from({ length: count }, (_, i) => `${path}${i}`), take);
    break;
}
