import { assert, assertEquals, assertRejects } from "@std/assert";
import { acquireFair, joinQueue } from "../../lib/patterns/turnstile.ts";
import { WaitBudget } from "../../lib/acquire/budget.ts";
import { tryFlock } from "../../lib/lock/flock/flock.ts";
import { parseProcLocks } from "../../lib/proc/proc_locks.ts";
import { tryRecordLock } from "../../lib/lock/record/record_lock_attempt.ts";
import { LockTimeoutError } from "../../lib/wait/lock_timeout_error.ts";
import { LockError } from "../../lib/sys/error.ts";
import type { HelperProcess } from "../support/helper_process.ts";
import { holdFlock } from "../support/foreign_flock.ts";
import { openDescriptors } from "../support/open_descriptors.ts";
import { settled } from "../support/settled.ts";
import { TempDir } from "../support/temp_dir.ts";
import { until } from "../support/until.ts";
import { STRESS, Worker } from "./support/workers.ts";

/** Starts a waiter and returns once it stands in the line. */
async function lineUp(path: string, mode: string): Promise<HelperProcess> {
  const worker = Worker.spawn("fair", [path, mode]);
  assertEquals(await worker.nextLine(), "waiting");
  return worker;
}

/** How many are asleep in the kernel for a lock on a file. */
function waitsFor(path: string): number {
  const inode = BigInt(Deno.statSync(path).ino!);
  return settled(() =>
    parseProcLocks(Deno.readTextFileSync("/proc/locks"))
      .filter((lock) => lock.blocked && lock.inode === inode).length
  );
}

/** How many have joined the line of a lock file so far. */
function ticketsDrawn(path: string): number {
  const state = Deno.readTextFileSync(`${path}.queue`);
  return Number(/^holdfast queue 1 (\d+)\n$/.exec(state)?.[1]);
}

Deno.test("acquireFair: first come, first served, and the dead hold up nobody", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  await using stack = new AsyncDisposableStack();
  const holder = await holdFlock(path);
  const line: HelperProcess[] = [];
  for (let i = 0; i < 10 + 2 * STRESS; i++) {
    line.push(stack.use(await lineUp(path, "exclusive")));
  }
  // One in the middle, two neighbours, and the first, which waits for the lock.
  const killed = new Set([0, 3, 6, 7]);
  for (const index of killed) {
    line[index]!.kill("SIGKILL");
    await line[index]!.status;
  }
  // The kernel would serve them in this order too: but only the first of the
  // line, who is the second now, stands at the lock itself.
  await until(() => waitsFor(path) === 1);
  const held: number[] = [];
  const all = line.map(async (worker, index) => {
    if (await worker.nextLine() !== "held") return;
    held.push(index);
    await worker.finish();
  });
  await holder.finish();
  await holder[Symbol.asyncDispose]();
  await Promise.all(all);
  assertEquals(held, [...line.keys()].filter((index) => !killed.has(index)));
});

Deno.test("acquireFair: shared and exclusive keep their order", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  await using stack = new AsyncDisposableStack();
  const first = stack.use(Worker.spawn("fair", [path, "shared"]));
  assertEquals(await first.nextLine(), "held");
  const writer = stack.use(await lineUp(path, "exclusive"));
  // It could share the lock with the first, but the writer came earlier.
  const late = stack.use(await lineUp(path, "shared"));
  await first.finish();
  assertEquals(await writer.nextLine(), "held");
  await writer.finish();
  assertEquals(await late.nextLine(), "held");
});

Deno.test("acquireFair: sharers without a gap between them don't pass an exclusive waiter, as one by tryFlock does", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  let sharer = await acquireFair(path, { mode: "shared" });
  await using writer = await lineUp(path, "exclusive");
  for (let round = 0; round < 10; round++) {
    await assertRejects(
      () => acquireFair(path, { mode: "shared", timeoutMs: 0 }),
      LockTimeoutError,
    );
    const next = tryFlock(path, { mode: "shared" });
    assert(next !== undefined, "the lock itself keeps sharers apart");
    sharer.release();
    sharer = next;
  }
  sharer.release();
  assertEquals(await writer.nextLine(), "held");
  await writer.finish();
  using last = await acquireFair(path, { mode: "shared", timeoutMs: 0 });
  assert(last.held);
});

Deno.test("acquireFair: who gives up leaves the line, and nothing behind", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  const holder = await holdFlock(path);
  const giveUp = () =>
    assertRejects(() => acquireFair(path, { timeoutMs: 20 }), LockTimeoutError);
  await giveUp(); // Binds and loads what it needs.
  assertEquals(ticketsDrawn(path), 1);
  const before = openDescriptors();
  const error = await giveUp();
  assertEquals(error.path, path);
  assertEquals(error.holders.some(({ pid }) => pid === holder.pid), true);
  const reason = new Error("enough");
  const controller = new AbortController();
  assertEquals(
    await assertRejects(() =>
      acquireFair(path, {
        signal: controller.signal,
        onWait: () => controller.abort(reason),
      })
    ),
    reason,
  );
  assertEquals(ticketsDrawn(path), 3);
  assertEquals(openDescriptors(), before);
  await holder[Symbol.asyncDispose]();
  using lock = await acquireFair(path, { timeoutMs: 0 });
  assert(lock.held);
});

Deno.test("joinQueue: tickets are numbered, and a foreign file is refused", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock.queue");
  const budget = new WaitBudget({});
  using first = await joinQueue(path, budget);
  using second = await joinQueue(path, budget);
  assertEquals([first.ticket, second.ticket], [0n, 1n]);
  assertEquals([first.isDue(path), second.isDue(path)], [true, false]);
  first.leave();
  assertEquals(second.isDue(path), true);
  assertEquals(Deno.readTextFileSync(path), "holdfast queue 1 2\n");
  for (const text of ["my data\n", "holdfast queue 1 x\n"]) {
    Deno.writeTextFileSync(dir.join("b"), text);
    await assertRejects(() => joinQueue(dir.join("b"), budget), LockError);
    assertEquals(Deno.readTextFileSync(dir.join("b")), text);
  }
});

Deno.test("acquireFair: while somebody is stopped in drawing a ticket, deadline and abort hold", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  const machine = { startByte: 0n, lengthBytes: 1n };
  const drawer = tryRecordLock(`${path}.queue`, { range: machine })!;
  const before = openDescriptors();
  const error = await assertRejects(
    () => acquireFair(path, { timeoutMs: 300 }),
    LockTimeoutError,
  );
  assertEquals(error.path, `${path}.queue`);
  assertEquals(error.holders.map(({ pid }) => pid), [Deno.pid]);
  await assertRejects(
    () => acquireFair(path, { timeoutMs: 0 }),
    LockTimeoutError,
  );
  const reason = new Error("enough");
  const controller = new AbortController();
  // Timers go on meanwhile.
  let ticks = 0;
  const timer = setInterval(() => {
    if (++ticks === 20) controller.abort(reason);
  }, 1);
  const { signal } = controller;
  assertEquals(
    await assertRejects(() => acquireFair(path, { signal, timeoutMs: 60_000 })),
    reason,
  );
  clearInterval(timer);
  assertEquals(openDescriptors(), before);
  const wait = acquireFair(path, { timeoutMs: 60_000 });
  drawer.release();
  (await wait).release();
});
