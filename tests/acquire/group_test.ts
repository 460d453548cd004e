import { assert, assertEquals, assertRejects } from "@std/assert";
import { acquireAll, type GroupMember } from "../../lib/acquire/group.ts";
import { LockTimeoutError } from "../../lib/wait/lock_timeout_error.ts";
import { holdFlock, isFlockFree } from "../support/foreign_flock.ts";
import { openDescriptors } from "../support/open_descriptors.ts";
import { settled } from "../support/settled.ts";
import { TempDir } from "../support/temp_dir.ts";
import { runWorkers, STRESS, Worker } from "../patterns/support/workers.ts";

Deno.test("acquireAll: all members are held until the group is released", async () => {
  using dir = new TempDir();
  const [a, b, c] = ["a", "b", "c"].map((name) => dir.join(name)) as [
    string,
    string,
    string,
  ];
  {
    using group = await acquireAll([c, { path: a, mode: "shared" }, b]);
    assertEquals(group.members.map(({ path }) => path), [c, a, b]);
    assert(group.held);
    assertEquals([isFlockFree(a), isFlockFree(a, "-s")], [false, true]);
    assertEquals([isFlockFree(b, "-s"), isFlockFree(c, "-s")], [false, false]);
  }
  assertEquals([isFlockFree(a), isFlockFree(b), isFlockFree(c)], [
    true,
    true,
    true,
  ]);
});

Deno.test("acquireAll: one file by two names is locked once, exclusively", async () => {
  using dir = new TempDir();
  Deno.writeTextFileSync(dir.join("a"), "");
  Deno.linkSync(dir.join("a"), dir.join("b"));
  Deno.symlinkSync(dir.join("a"), dir.join("c"));
  using group = await acquireAll([
    { path: dir.join("a"), mode: "shared" },
    dir.join("b"),
    { path: dir.join("c"), mode: "shared" },
  ], { timeoutMs: 0 });
  assertEquals(new Set(group.members).size, 1);
  assertEquals(isFlockFree(dir.join("a"), "-s"), false);
  group.release();
  group.release();
  assertEquals(group.held, false);
  assertEquals(isFlockFree(dir.join("a")), true);
});

for (const strategy of ["ordered-wait", "try-all-backoff"] as const) {
  Deno.test(`acquireAll: ${strategy} names the busy member and leaves nothing behind`, async () => {
    using dir = new TempDir();
    const names = ["a", "b", "c"].map((name) => dir.join(name));
    await using holder = await holdFlock(names[1]!);
    const attempt = () =>
      assertRejects(
        () => acquireAll(names, { strategy, timeoutMs: 30 }),
        LockTimeoutError,
      );
    await attempt(); // Binds and loads what it needs.
    const before = openDescriptors();
    const error = await attempt();
    assertEquals(error.path, names[1]);
    assertEquals(error.holders.some(({ pid }) => pid === holder.pid), true);
    assertEquals([isFlockFree(names[0]!), isFlockFree(names[2]!)], [
      true,
      true,
    ]);
    assertEquals(openDescriptors(), before);
  });

  Deno.test(`acquireAll: ${strategy} waits for a busy member`, async () => {
    using dir = new TempDir();
    const names = ["a", "b"].map((name) => dir.join(name));
    await using holder = await holdFlock(names[0]!);
    const waiting: string[] = [];
    const acquiring = acquireAll(names, {
      strategy,
      timeoutMs: 10_000,
      onWait: ({ path }) => {
        waiting.push(path);
        holder.finish();
      },
    });
    using group = await acquiring;
    assert(group.held);
    assertEquals(waiting, [names[0]]);
  });

  Deno.test(`acquireAll: ${strategy} with 100 processes on random groups, some killed`, async () => {
    using dir = new TempDir();
    const rounds = String(4 * STRESS);
    const endless = await Promise.all(
      Array.from(
        { length: 10 },
        () => Worker.start("groups", [dir.path, "8", "1000000", strategy]),
      ),
    );
    const work = runWorkers(
      90,
      "groups",
      [dir.path, "8", rounds, strategy],
    );
    for (const victim of endless) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      victim.kill("SIGKILL");
      await victim[Symbol.asyncDispose]();
    }
    assertEquals(await work, new Array(90).fill("done"));
  });
}

Deno.test("acquireAll: a replaced file is noticed, and the order made anew", async () => {
  using dir = new TempDir();
  const [a, b] = [dir.join("a"), dir.join("b")];
  await using holder = await holdFlock(a);
  await using other = await holdFlock(b);
  using group = await acquireAll([a, b], {
    timeoutMs: 10_000,
    onWait: () => {
      for (const path of [a, b]) {
        Deno.removeSync(path);
        Deno.writeTextFileSync(path, "");
      }
      holder.finish();
      other.finish();
    },
  });
  assert(group.held);
  assertEquals([isFlockFree(a, "-s"), isFlockFree(b, "-s")], [false, false]);
});

Deno.test("acquireAll: kinds of locks mixed, two on one file", async () => {
  using dir = new TempDir();
  const path = dir.join("a");
  const members = (["flock", "ofd"] as const).map((kind) => ({ path, kind }));
  using group = await acquireAll([...members, {
    path: dir.join("b"),
    kind: "posix",
  }]);
  const kinds = ["a", "b"].flatMap((name) => linesOf(dir.join(name)))
    .map((line) => line.split(/ +/)[1]);
  assertEquals(kinds.sort(), ["FLOCK", "OFDLCK", "POSIX"]);
  assertEquals(new Set(group.members).size, 3);
  await assertRejects(
    () => acquireAll([{ path, kind: "ofd" }], { timeoutMs: 0 }),
    LockTimeoutError,
  );
});

Deno.test("acquireAll: both kinds on one file are one member with its flock and OFD locks", async () => {
  using dir = new TempDir();
  const path = dir.join("a");
  using group = await acquireAll([
    { path, kind: "ofd", mode: "shared" },
    { path, kind: "both", mode: "shared" },
    { path },
  ], { timeoutMs: 5000 });
  assertEquals(new Set(group.members).size, 1);
  for (const kind of ["flock", "ofd"] as const) {
    await assertRejects(
      () => acquireAll([{ path, kind, mode: "shared" }], { timeoutMs: 0 }),
      LockTimeoutError,
    );
  }
  group.release();
  using again = await acquireAll([{ path, kind: "both" }], { timeoutMs: 0 });
  assert(again.held);
});

Deno.test("acquireAll: aborts with the caller's reason", async () => {
  using dir = new TempDir();
  await using _holder = await holdFlock(dir.join("b"));
  const controller = new AbortController();
  const reason = new Error("enough");
  const error = await assertRejects(() =>
    acquireAll([dir.join("a"), dir.join("b")], {
      signal: controller.signal,
      onWait: () => controller.abort(reason),
    })
  );
  assertEquals(error, reason);
  assertEquals(isFlockFree(dir.join("a")), true);
});

Deno.test("acquireAll: bad arguments", async () => {
  await assertRejects(() => acquireAll([]), RangeError);
  await assertRejects(() => acquireAll(["x"], { timeoutMs: -1 }), RangeError);
});

/** What the kernel lists of a file's locks. */
function linesOf(path: string): string[] {
  const { ino } = Deno.statSync(path);
  return settled(() =>
    Deno.readTextFileSync("/proc/locks").split("\n")
      .filter((line) => line.includes(`:${ino} `) && !line.includes("->"))
  );
}

/** The locked bytes of a file: first to last. */
function lockedSpans(path: string): string[] {
  return linesOf(path).map((line) => line.split(" ").slice(-2).join("-"))
    .sort();
}

Deno.test("acquireAll: ranges of one file that overlap are one lock, others are their own", async () => {
  using dir = new TempDir();
  const path = dir.join("a");
  const member = (startByte: bigint, lengthBytes: bigint) => ({
    path,
    kind: "ofd" as const,
    range: { startByte, lengthBytes },
  });
  using group = await acquireAll([
    { ...member(0n, 10n), mode: "shared" },
    member(20n, 5n),
    member(5n, 10n),
  ], { timeoutMs: 0 });
  assertEquals(lockedSpans(path), ["0-14", "20-24"]);
  const [head, other, overlapping] = group.members;
  assert(head === overlapping && head !== other);
});

Deno.test("acquireAll: groups of POSIX and OFD ranges, crosswise on one file, both get them", async () => {
  using dir = new TempDir();
  const path = dir.join("a");
  const at = (kind: "posix" | "ofd", startByte: bigint) => ({
    path,
    kind,
    range: { startByte, lengthBytes: 10n },
  });
  using holder = await acquireAll([at("ofd", 0n)]);
  const take = async (...kinds: ["posix" | "ofd", "posix" | "ofd"]) => {
    using group = await acquireAll(
      kinds.map((kind, index) => at(kind, BigInt(index * 20))),
      { timeoutMs: 60_000 },
    );
    assert(group.held);
  };
  const both = [take("posix", "ofd"), take("ofd", "posix")];
  holder.release();
  await Promise.all(both);
});

Deno.test("acquireAll: what can't be locked at once is a RangeError", async () => {
  using dir = new TempDir();
  const path = dir.join("a");
  for (
    const members of [
      [{ path, kind: "posix" }, { path, kind: "ofd" }],
      [{ path, kind: "both" }, { path, kind: "posix" }],
    ] as GroupMember[][]
  ) {
    await assertRejects(() => acquireAll(members), RangeError);
  }
  assertEquals(lockedSpans(path), []);
});
