import { assert, assertEquals, assertRejects } from "@std/assert";
import { acquire, type FlockHandle, LockTimeoutError } from "../../mod.ts";
import { fileEvents } from "../../lib/sys/storage/events.ts";
import { mostThreads } from "../../lib/sys/thread/thread_limit.ts";
import { hasWaiters, takePlace } from "../../lib/wait/waiter_queue.ts";
import { HelperProcess } from "../support/helper_process.ts";
import { holdFlock } from "../support/foreign_flock.ts";
import { settle } from "../support/manual_clock.ts";
import { openDescriptors } from "../support/open_descriptors.ts";
import { type Guard, needs, unless } from "../support/programs.ts";
import { TempDir } from "../support/temp_dir.ts";
import { until } from "../support/until.ts";

const WAITERS = 1000;

function threadCount(): number {
  const status = Deno.readTextFileSync("/proc/self/status");
  return Number(/^Threads:\s+(\d+)$/m.exec(status)![1]);
}

/** That nothing but a busy machine holds the event loop up. */
async function expectTimersToGoOn(): Promise<void> {
  for (let i = 0; i < 20; i++) {
    const start = performance.now();
    await new Promise((resolve) => setTimeout(resolve, 1));
    const ms = performance.now() - start;
    assert(ms < 10_000, `a timer of 1 ms took ${ms} ms`);
  }
}

Deno.test("a thousand waits for one file use one descriptor and are served in order", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  const idle = openDescriptors();
  await using holder = await holdFlock(path);
  await settle();
  const before = openDescriptors();
  const threads = threadCount();
  const served: number[] = [];
  const waits = Array.from({ length: WAITERS }, async (_, i) => {
    using _lock = await acquire(path, { timeoutMs: 60_000 });
    served.push(i);
  });
  await settle();
  // The lock file.
  assertEquals(openDescriptors().length, before.length + 1);
  assert(threadCount() <= threads + 1, `${threadCount()} from ${threads}`);
  await expectTimersToGoOn();
  assertEquals(served, []);
  await holder.finish();
  await Promise.all(waits);
  assertEquals(served, Array.from({ length: WAITERS }, (_, i) => i));
  await holder[Symbol.asyncDispose]();
  assertEquals(openDescriptors(), idle);
  assert(!hasWaiters(path));
});

const areThreadsEnough = mostThreads(WAITERS) >= WAITERS;

Deno.test({
  name:
    "a thousand waits for a thousand files sleep without a descriptor of their own, and leave no thread" +
    (areThreadsEnough ? "" : " (too few threads allowed here)"),
  ignore: !areThreadsEnough,
  async fn() {
    using dir = new TempDir();
    const paths = Array.from({ length: WAITERS }, (_, i) => dir.join(`${i}`));
    const before = openDescriptors();
    const held = await Promise.all(paths.map((path) => acquire(path)));
    const threads = threadCount();
    const waits = paths.map((path) => acquire(path, { timeoutMs: 60_000 }));
    await until(() => threadCount() >= WAITERS);
    assertEquals(openDescriptors().length, before.length + 2 * WAITERS);
    await expectTimersToGoOn();
    for (const lock of held) lock.release();
    for (const lock of await Promise.all(waits)) lock.release();
    assertEquals(openDescriptors(), before);
    // The last thing a thread does is to end.
    await until(() => threadCount() <= threads + 8);
  },
});

Deno.test("aborts and timeouts reach those who queue, and the rest move up", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  await using holder = await holdFlock(path);
  const controller = new AbortController();
  const reason = new Error("mine");
  const first = acquire(path);
  const aborted = assertRejects(
    () => acquire(path, { signal: controller.signal }),
    Error,
    "mine",
  );
  const late = assertRejects(
    () => acquire(path, { timeoutMs: 30 }),
    LockTimeoutError,
    "was still held after",
  );
  const last = acquire(path);
  controller.abort(reason);
  await aborted;
  await late;
  await holder.finish();
  (await first).release();
  (await last).release();
  assert(!hasWaiters(path));
});

Deno.test("when the head gives up, the next one is woken in its place", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  await using holder = await holdFlock(path);
  const before = openDescriptors();
  const controller = new AbortController();
  const head = acquire(path, { signal: controller.signal });
  const next = acquire(path, { timeoutMs: 60_000 });
  await settle();
  controller.abort();
  await head.catch(() => {});
  await holder.finish();
  (await next).release();
  await fileEvents.settled();
  assertEquals(
    openDescriptors().filter((entry) => entry.includes("inotify")),
    before.filter((entry) => entry.includes("inotify")),
  );
});

Deno.test("shared waiters are granted together, an exclusive one in its turn", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  await using holder = await holdFlock(path);
  const log: string[] = [];
  const wait = async (name: string, mode: "shared" | "exclusive") => {
    const lock = await acquire(path, { mode, timeoutMs: 60_000 });
    log.push(name);
    return lock;
  };
  const waits: Promise<FlockHandle>[] = [
    wait("a", "shared"),
    wait("b", "shared"),
    wait("c", "exclusive"),
    wait("d", "shared"),
  ];
  await holder.finish();
  const a = await waits[0]!;
  const b = await waits[1]!;
  assert(a.held && b.held);
  assertEquals(log, ["a", "b"]);
  a.release();
  b.release();
  const c = await waits[2]!;
  assertEquals(log, ["a", "b", "c"]);
  c.release();
  (await waits[3]!).release();
});

Deno.test("a place in the queue is reached once, in order, and can be left", async () => {
  const first = takePlace("queue-test");
  const second = takePlace("queue-test");
  const third = takePlace("queue-test");
  assertEquals(await first.reached(0), true);
  assertEquals(await third.reached(0), false);
  const reached = third.reached(60_000);
  second[Symbol.dispose]();
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  assertEquals(await reached, true);
  third[Symbol.dispose]();
  assert(!hasWaiters("queue-test"));
});

/** Runs a script that waits for a held lock, in a process of its own. */
function waiterScript(path: string, rest: string): string[] {
  const mod = new URL("../../mod.ts", import.meta.url).href;
  const code = `import { acquire } from ${JSON.stringify(mod)};
    const path = ${JSON.stringify(path)};
    ${rest}`;
  return [
    "run",
    "--quiet",
    "--no-check",
    "--allow-ffi",
    "--allow-read",
    "--allow-import",
    `data:application/typescript,${encodeURIComponent(code)}`,
  ];
}

Deno.test("a process that waits can exit, and its event loop ends with the wait", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  await using _holder = await holdFlock(path);
  const run = (code: string) =>
    new Deno.Command(Deno.execPath(), { args: waiterScript(path, code) })
      .output();
  const exits = await run(
    `acquire(path, { onWait: () => setTimeout(() => Deno.exit(3), 20) });`,
  );
  assertEquals(exits.code, 3);
  const ends = await run(
    `await acquire(path, { timeoutMs: 20 }).catch((e) => console.log(e.name));`,
  );
  assertEquals(new TextDecoder().decode(ends.stdout), "LockTimeoutError\n");
  assertEquals(ends.code, 0);
});

const namespaces = needsUserNamespaces();

function needsUserNamespaces(): Guard {
  const guard = needs("unshare");
  if (guard.ignore) return guard;
  const { success } = new Deno.Command("unshare", { args: ["-Ur", "true"] })
    .outputSync();
  return unless(success ? undefined : "no user namespaces here");
}

Deno.test({
  name: "with neither a thread nor an inotify instance to be had, acquire " +
    `polls and says so${namespaces.suffix}`,
  ignore: namespaces.ignore,
  async fn() {
    using dir = new TempDir();
    const path = dir.join("a.lock");
    Deno.writeTextFileSync(path, "");
    Deno.chmodSync(path, 0o666);
    await using holder = await holdFlock(path);
    await using waiter = HelperProcess.spawn("unshare", [
      "-Ur",
      "sh",
      "-c",
      'echo 0 > /proc/sys/user/max_inotify_instances; exec "$0" "$@"',
      Deno.execPath(),
      ...waiterScript(
        path,
        // In a Worker, whose waits have no threads.
        `if ("WorkerGlobalScope" in globalThis) {
          using lock = await acquire(path, {
            onDegraded: (reason) => console.log(reason.code),
          });
          console.log(lock.held);
          close();
        } else new Worker(import.meta.url, { type: "module" });`,
      ),
    ]);
    assertEquals(await waiter.nextLine(), "EMFILE");
    await holder.finish();
    assertEquals(await waiter.nextLine(), "true");
  },
});
