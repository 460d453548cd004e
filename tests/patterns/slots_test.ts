import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  acquireSlots,
  readSlots,
  SlotTimeoutError,
} from "../../lib/patterns/slots.ts";
import { tryFlock } from "../../lib/lock/flock/flock.ts";
import { LockTimeoutError } from "../../lib/wait/lock_timeout_error.ts";
import { UnsupportedFilesystemError } from "../../lib/fs/guard.ts";
import { libc } from "../../lib/sys/libc.ts";
import { openDescriptors } from "../support/open_descriptors.ts";
import { runScript } from "../support/run_script.ts";
import { TempDir } from "../support/temp_dir.ts";
import { within } from "../support/within.ts";
import { runWorkers, STRESS, Worker } from "./support/workers.ts";

Deno.test("acquireSlots: the lowest free slots, and no more than there are", async () => {
  using dir = new TempDir();
  const name = dir.join("build");
  using first = await acquireSlots(name, { slots: 3 });
  using rest = await acquireSlots(name, { slots: 3, want: 2 });
  assertEquals([first.slots, rest.slots], [[0], [1, 2]]);
  const before = openDescriptors();
  const error = await assertRejects(
    () => acquireSlots(name, { slots: 3, timeoutMs: 0 }),
    SlotTimeoutError,
  );
  assertEquals(openDescriptors(), before);
  assertEquals(error.slots.map(({ holders }) => holders[0]?.pid), [
    Deno.pid,
    Deno.pid,
    Deno.pid,
  ]);
  assert(error.message.includes("0 of 3 free now"), error.message);
  first.release();
  using again = await acquireSlots(name, { slots: 3, timeoutMs: 0 });
  assertEquals(again.slots, [0]);
});

Deno.test("acquireSlots: callers may differ in how many slots there are", async () => {
  using dir = new TempDir();
  const name = dir.join("build");
  using many = await acquireSlots(name, { slots: 4, want: 3 });
  await assertRejects(
    () => acquireSlots(name, { slots: 2, timeoutMs: 0 }),
    SlotTimeoutError,
  );
  using more = await acquireSlots(name, { slots: 8, timeoutMs: 0 });
  assertEquals([many.slots, more.slots], [[0, 1, 2], [3]]);
});

Deno.test("acquireSlots: all or nothing", async () => {
  using dir = new TempDir();
  const name = dir.join("build");
  using one = await acquireSlots(name, { slots: 3 });
  await assertRejects(
    () => acquireSlots(name, { slots: 3, want: 3, timeoutMs: 20 }),
    SlotTimeoutError,
  );
  const states = await readSlots(name);
  assertEquals(states.map(({ holders }) => holders.length), [1, 0, 0]);
  const waiting = acquireSlots(name, {
    slots: 3,
    want: 3,
    timeoutMs: 10_000,
    onWait: () => one.release(),
  });
  using all = await waiting;
  assertEquals(all.slots, [0, 1, 2]);
});

Deno.test("acquireSlots: fair, who wants many isn't passed by who wants few", async () => {
  using dir = new TempDir();
  const name = dir.join("build");
  using _one = await acquireSlots(name, { slots: 2 });
  const order: string[] = [];
  let released = () => {};
  const two = acquireSlots(name, {
    slots: 2,
    want: 2,
    fair: true,
    onWait: () => released(),
  }).then((held) => {
    order.push("two");
    held.release();
  });
  await new Promise<void>((resolve) => released = resolve);
  const late = acquireSlots(name, { slots: 2, fair: true }).then((held) => {
    order.push("one");
    held.release();
  });
  // The late one wants a slot that is free, and leaves it to the first.
  await assertRejects(
    () => acquireSlots(name, { slots: 2, fair: true, timeoutMs: 50 }),
    SlotTimeoutError,
  );
  assertEquals(order, []);
  _one.release();
  await Promise.all([two, late]);
  assertEquals(order, ["two", "one"]);
});

Deno.test("acquireSlots: a killed holder's slot is free at once", async () => {
  using dir = new TempDir();
  await using holder = await Worker.start("holdSlots", [dir.path, "1", "1"]);
  const [state] = await readSlots(dir.path);
  assertEquals(state?.holders.map(({ pid }) => pid), [holder.pid]);
  holder.kill("SIGKILL");
  await holder.status;
  using held = await acquireSlots(dir.path, { slots: 1, timeoutMs: 0 });
  assertEquals(held.slots, [0]);
});

Deno.test("acquireSlots: no slot is held twice or lost, with processes killed", async () => {
  using dir = new TempDir();
  const victims = await Promise.all(
    Array.from(
      { length: 4 },
      () => Worker.start("slots", [dir.path, "4", "1", "1000000"]),
    ),
  );
  const rounds = String(6 * STRESS);
  const work = Promise.all([
    runWorkers(12, "slots", [dir.path, "4", "1", rounds]),
    runWorkers(6, "slots", [dir.path, "4", "2", rounds]),
    runWorkers(2, "slots", [dir.path, "4", "4", rounds]),
  ]);
  for (const victim of victims) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    victim.kill("SIGKILL");
    await victim[Symbol.asyncDispose]();
  }
  assertEquals((await work).flat(), new Array(20).fill("done"));
  using all = await acquireSlots(dir.path, { slots: 4, want: 4, timeoutMs: 0 });
  assertEquals(all.slots, [0, 1, 2, 3]);
});

Deno.test("acquireSlots: bad arguments", async () => {
  using dir = new TempDir();
  const name = dir.join("build");
  for (
    const options of [
      { slots: 0 },
      { slots: 1.5 },
      { slots: 5000 },
      { slots: 2, want: 3 },
      { slots: 2, want: 0 },
    ]
  ) await assertRejects(() => acquireSlots(name, options), RangeError);
  await assertRejects(() => acquireSlots("", { slots: 1 }), RangeError);
  await assertRejects(() => acquireSlots(".hidden", { slots: 1 }), RangeError);
  assertEquals(await readSlots(dir.join("nothing")), []);
});

Deno.test("acquireSlots: fair slots on a remote filesystem are had with allowRemote", async () => {
  using dir = new TempDir("/dev/shm");
  const name = dir.join("build");
  // As if it were NFS: f_type comes first in struct statfs.
  const { fstatfs } = libc;
  const asNfs = (_fd: number, buffer: Uint8Array) => {
    new DataView(buffer.buffer).setBigUint64(0, 0x6969n, true);
    return 0;
  };
  Object.defineProperty(libc, "fstatfs", { value: asNfs, configurable: true });
  try {
    const options = { slots: 2, fair: true, timeoutMs: 10_000 };
    await assertRejects(
      () => acquireSlots(name, options),
      UnsupportedFilesystemError,
    );
    using held = await acquireSlots(name, { ...options, allowRemote: true });
    assertEquals(held.slots, [0]);
  } finally {
    Object.defineProperty(libc, "fstatfs", {
      value: fstatfs,
      configurable: true,
    });
  }
});

Deno.test("acquireSlots: while somebody is stopped in looking for free ones, deadline and abort hold", async () => {
  using dir = new TempDir();
  const name = dir.join("build");
  (await acquireSlots(name, { slots: 2 })).release();
  const scan = tryFlock(`${name}/scan.lock`)!;
  for (const timeoutMs of [0, 200]) {
    const error = await assertRejects(
      () => acquireSlots(name, { slots: 2, want: 2, timeoutMs }),
      LockTimeoutError,
    );
    assertEquals(error.path, scan.path);
    assertEquals(error.holders.map(({ pid }) => pid), [Deno.pid]);
  }
  const reason = new Error("enough");
  const controller = new AbortController();
  setTimeout(() => controller.abort(reason), 100);
  const { signal } = controller;
  assertEquals(
    await assertRejects(() =>
      acquireSlots(name, { slots: 2, want: 2, signal })
    ),
    reason,
  );
  const wait = acquireSlots(name, { slots: 2, want: 2, timeoutMs: 60_000 });
  scan.release();
  using held = await wait;
  assertEquals(held.slots, [0, 1]);
});

const SLOTS = new URL("../../lib/patterns/slots.ts", import.meta.url);

for (
  const [what, script] of [
    [
      "waits first in the line",
      `const { acquireSlots } = await import(${JSON.stringify(SLOTS)});
      const onWait = () => say("ready");
      await acquireSlots(args[0], { slots: 1, fair: true, onWait });`,
    ],
    [
      "is about to draw a ticket",
      'ofd(open(args[0] + "/queue"), [0, 1]); say("ready"); line();',
    ],
    [
      "looks for free ones",
      'flock(open(args[0] + "/scan.lock")); say("ready"); line();',
    ],
  ] as const
) {
  Deno.test(`acquireSlots: without time to wait it gives up though somebody who ${what} is stopped`, async () => {
    using dir = new TempDir();
    const name = dir.join("build");
    using _all = await acquireSlots(name, { slots: 1 });
    await using stopped = await runScript(script, name);
    stopped.kill("SIGSTOP");
    const before = openDescriptors();
    for (const fair of [false, true]) {
      const error = await within(
        assertRejects(
          () => acquireSlots(name, { slots: 1, fair, timeoutMs: 0 }),
          LockTimeoutError,
        ),
        `giving up, fair: ${fair}`,
      );
      assertEquals(error.waitedMs, 0);
    }
    assertEquals(openDescriptors(), before);
  });
}
