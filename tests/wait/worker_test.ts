/** What a Worker leaves behind that is terminated while it waits or holds. */
import { assert, assertEquals } from "@std/assert";
import { type FlockHandle, tryAcquire } from "../../mod.ts";
import { acquireFair } from "../../lib/patterns/turnstile.ts";
import { parseProcLocks } from "../../lib/proc/proc_locks.ts";
import { readSleepingCalls } from "../../lib/sys/sleeping_call.ts";
import { settle } from "../support/manual_clock.ts";
import { openDescriptors } from "../support/open_descriptors.ts";
import { TempDir } from "../support/temp_dir.ts";
import { within } from "../support/within.ts";

const MOD = new URL("../../mod.ts", import.meta.url);
const RECORD = new URL("../../lib/acquire/record_lock.ts", import.meta.url);

const PATTERNS = new URL("../../lib/patterns/mod.ts", import.meta.url);
const WATCH = new URL(
  "../../lib/sys/thread/worker_descriptors.ts",
  import.meta.url,
);

/** Starts a Worker, and gives it once it says something. */
async function startWorker(code: string): Promise<Worker> {
  const worker = new Worker(
    `data:application/typescript,${
      encodeURIComponent(
        `import { acquire } from ${JSON.stringify(MOD)};
         import { acquireRecordLock } from ${JSON.stringify(RECORD)};
         const mod = await import(${JSON.stringify(MOD)});
         const patterns = () => import(${JSON.stringify(PATTERNS)});
        ${code}`,
      )
    }`,
    { type: "module" },
  );
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  worker.onmessage = () => resolve();
  worker.onerror = (event) => reject(event.message);
  await promise;
  return worker;
}

async function until(isSo: () => boolean, what: () => unknown): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!isSo()) {
    assert(performance.now() < deadline, `${what()}`);
    await settle();
  }
}

/** The lock files that are open, and what tells of their release. */
const ofLocks = (dir: TempDir) =>
  openDescriptors().filter((one) =>
    one.includes(dir.path) || one.includes("inotify")
  );

/** Threads that sleep in poll(2), or ppoll(2) where that is all there is. */
const listeners = () =>
  readSleepingCalls(Deno.pid)
    .filter(({ number }) =>
      number === (Deno.build.arch === "aarch64" ? 73 : 7)
    );

Deno.test("a Worker's wait is not the kernel's, which would outlive it", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  const holder = tryAcquire(path)!;
  const worker = await startWorker(
    `acquire(${JSON.stringify(path)}, { onWait: () => postMessage("waits") });`,
  );
  await until(
    () => openDescriptors().some((one) => one.includes("inotify")),
    openDescriptors,
  );
  const inode = BigInt(Deno.statSync(path).ino!);
  assertEquals(
    parseProcLocks(Deno.readTextFileSync("/proc/locks"))
      .filter((lock) => lock.blocked && lock.inode === inode),
    [],
  );
  worker.terminate();
  holder.release();
  let lock: FlockHandle | undefined;
  await until(() => (lock = tryAcquire(path)) !== undefined, () => "held");
  lock?.release();
});

Deno.test("Workers that are terminated while they wait leave no descriptor and no thread", async () => {
  using dir = new TempDir();
  using lock = tryAcquire(dir.join("a.lock"))!;
  for (let round = 0; round < 4; round++) {
    const workers = await Promise.all(
      Array.from({ length: 5 }, () =>
        startWorker(
          `let waits = 0;
          const onWait = () => ++waits === 2 && postMessage("waits");
          for (const take of [acquire, acquireRecordLock]) {
            take(${JSON.stringify(lock.path)});
            take(${JSON.stringify(lock.path)}, { onWait });
          }`,
        )),
    );
    assert(ofLocks(dir).length > 1);
    await until(() => listeners().length > 0, openDescriptors);
    for (const worker of workers) worker.terminate();
  }
  await until(
    () => ofLocks(dir).length === 1 && listeners().length === 0,
    () => openDescriptors().join("\n"),
  );
});

Deno.test("a lock that a terminated Worker has taken is free", async () => {
  using dir = new TempDir();
  for (const end of ["terminate", "close"]) {
    const path = dir.join(end);
    const worker = await startWorker(
      `globalThis.held = [
        await acquire(${JSON.stringify(path)}),
        await acquireRecordLock(${JSON.stringify(path)}),
      ];
      postMessage("holds");
      onmessage = () => close();`,
    );
    assertEquals(tryAcquire(path), undefined);
    if (end === "terminate") worker.terminate();
    else worker.postMessage("go");
    let lock: FlockHandle | undefined;
    await until(() => (lock = tryAcquire(path)) !== undefined, () => "held");
    lock?.release();
  }
});

for (
  const [what, code] of [
    ["a group", "await mod.acquireAll([path, `${path}.2`])"],
    ["a lock without a wait", "mod.tryAcquire(path)"],
    ["a lock in its turn", "await (await patterns()).acquireFair(path)"],
  ] as const
) {
  Deno.test(`${what} that a terminated Worker has taken is free`, async () => {
    using dir = new TempDir();
    const path = dir.join("a.lock");
    const worker = await startWorker(
      `const path = ${JSON.stringify(path)};
      globalThis.held = ${code};
      // Is loaded by the first lock too, and before this.
      await import(${JSON.stringify(WATCH)});
      postMessage("holds");`,
    );
    assertEquals(tryAcquire(path), undefined);
    worker.terminate();
    await until(() => ofLocks(dir).length === 0, () => ofLocks(dir).join());
  });
}

Deno.test("a Worker that is terminated in the line holds up nobody", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  const holder = await acquireFair(path);
  const worker = await startWorker(
    `const { acquireFair } = await patterns();
    acquireFair(${
      JSON.stringify(path)
    }, { onWait: () => postMessage("waits") });`,
  );
  worker.terminate();
  holder.release();
  (await within(acquireFair(path), "its turn")).release();
});

Deno.test("what a Worker has closed isn't closed again with it", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  const worker = await startWorker(
    `for (let i = 0; i < 10; i++) (await acquire(${
      JSON.stringify(path)
    })).release();
    postMessage("done");`,
  );
  // These have the same numbers now.
  const files = Array.from({ length: 20 }, () => Deno.openSync(path));
  tryAcquire(path)!.release();
  worker.terminate();
  await until(
    () => threadNames().every((name) => !/^worker/.test(name)),
    threadNames,
  );
  assertEquals(ofLocks(dir).length, files.length);
  for (const file of files) file.close();
});

function threadNames(): string[] {
  return [...Deno.readDirSync("/proc/self/task")].flatMap(({ name }) => {
    try {
      return [Deno.readTextFileSync(`/proc/self/task/${name}/comm`)];
    } catch {
      return [];
    }
  });
}
