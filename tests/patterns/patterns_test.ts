import { ensureDirSync } from "@std/fs/ensure-dir";
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { appendToFile } from "../../lib/patterns/append.ts";
import { evict, getOrBuild } from "../../lib/patterns/cache.ts";
import { downgrade, upgrade } from "../../lib/patterns/convert.ts";
import { debounce } from "../../lib/patterns/debounce.ts";
import { makePrivateDirectory } from "../../lib/patterns/lock_directory.ts";
import { trySingleton } from "../../lib/patterns/singleton.ts";
import { transformFile } from "../../lib/patterns/transform_file.ts";
import { acquireTree, treeLockPath } from "../../lib/patterns/tree_lock.ts";
import { tryFlock } from "../../lib/lock/flock/flock.ts";
import { LockError, SyscallError } from "../../lib/sys/error.ts";
import { LockTimeoutError } from "../../lib/wait/lock_timeout_error.ts";
import { holdFlock } from "../support/foreign_flock.ts";
import { openDescriptors } from "../support/open_descriptors.ts";
import { TempDir } from "../support/temp_dir.ts";
import { runWorkers, STRESS } from "./support/workers.ts";

const encode = (text: string) => new TextEncoder().encode(text);

Deno.test("trySingleton: there is one", () => {
  using dir = new TempDir();
  const path = dir.join("daemon.lock");
  using first = trySingleton(path);
  assert(first?.held);
  assertEquals(trySingleton(path), undefined);
  first.release();
  using again = trySingleton(path);
  assert(again?.held);
});

Deno.test("treeLockPath: one lock for all names of a tree", async () => {
  using dir = new TempDir();
  Deno.mkdirSync(dir.join("a b"));
  Deno.symlinkSync("a b", dir.join("link"));
  const path = await treeLockPath(dir.join("a b"));
  assertEquals(await treeLockPath(dir.join("link/../a b/")), path);
  assert((await treeLockPath(dir.path)) !== path);
  assert(/\/tree\.a_b\.[0-9a-f]{32}\.lock$/.test(path), path);
  await assertRejects(() => treeLockPath(dir.join("none")), SyscallError);
});

Deno.test("acquireTree: readers of a tree share it, a build has it alone", async () => {
  using dir = new TempDir();
  const before = Deno.env.get("HOLDFAST_LOCK_DIR");
  Deno.env.set("HOLDFAST_LOCK_DIR", dir.join("locks"));
  try {
    const now = { timeoutMs: 0 };
    const shared = { ...now, mode: "shared" } as const;
    {
      using _one = await acquireTree(dir.path, shared);
      using other = await acquireTree(dir.path, shared);
      assertEquals(other.mode, "shared");
      await assertRejects(() => acquireTree(dir.path, now), LockTimeoutError);
    }
    using build = await acquireTree(dir.path, now);
    assertEquals(build.mode, "exclusive");
    await assertRejects(() => acquireTree(dir.path, shared), LockTimeoutError);
    assertEquals([...Deno.readDirSync(dir.path)].map(({ name }) => name), [
      "locks",
    ]);
  } finally {
    if (before === undefined) Deno.env.delete("HOLDFAST_LOCK_DIR");
    else Deno.env.set("HOLDFAST_LOCK_DIR", before);
  }
});

Deno.test("lock directory: one that others could meddle with is refused", () => {
  using dir = new TempDir();
  const uid = Deno.uid()!;
  makePrivateDirectory(dir.join("new"), uid);
  assertEquals(Deno.statSync(dir.join("new")).mode! & 0o7777, 0o700);
  makePrivateDirectory(dir.join("new"), uid);
  const refuse = (name: string, flaw: string, owner = uid) => {
    const error = assertThrows(
      () => makePrivateDirectory(dir.join(name), owner),
      LockError,
    );
    assert(error.message.includes(flaw), error.message);
  };
  Deno.symlinkSync(dir.join("new"), dir.join("link"));
  refuse("link", "it is a symlink");
  Deno.writeTextFileSync(dir.join("file"), "");
  refuse("file", "it is a file");
  refuse("new", `it belongs to user ${uid}`, uid + 1);
  Deno.chmodSync(dir.join("new"), 0o770);
  refuse("new", "others may write to it");
});

Deno.test("transformFile: replaces the file, and keeps mode and owner", async () => {
  using dir = new TempDir();
  const path = dir.join("a");
  Deno.writeTextFileSync(path, "old");
  Deno.chmodSync(path, 0o4640);
  const isRoot = Deno.uid() === 0;
  if (isRoot) Deno.chownSync(path, 1, 1);
  if (isRoot) Deno.chmodSync(path, 0o4640);
  Deno.symlinkSync("a", dir.join("link"));
  const before = Deno.statSync(path);
  const result = await transformFile(dir.join("link"), (content) => {
    assertEquals(new TextDecoder().decode(content), "old");
    return encode("newer");
  });
  const after = Deno.statSync(path);
  assertEquals(result, { method: "replace" });
  assertEquals(Deno.readTextFileSync(path), "newer");
  assertEquals([after.mode, after.uid, after.gid], [
    before.mode,
    before.uid,
    before.gid,
  ]);
  assert(after.ino !== before.ino);
  assertEquals([...Deno.readDirSync(dir.path)].length, 2);
  assertEquals(
    await transformFile(path, (content) => content),
    { method: undefined },
  );
});

Deno.test("transformFile: writes in place where a new file would lose something", async () => {
  using dir = new TempDir();
  const path = dir.join("a");
  Deno.writeTextFileSync(path, "a long old content");
  Deno.linkSync(path, dir.join("b"));
  assertEquals(await transformFile(path, () => encode("new")), {
    method: "in-place",
  });
  assertEquals(Deno.readTextFileSync(dir.join("b")), "new");
  const error = await assertRejects(
    () => transformFile(path, () => encode("x"), { method: "replace" }),
    LockError,
  );
  assert(error.message.includes("hard links"), error.message);
});

Deno.test("transformFile: a transform that fails changes nothing", async () => {
  using dir = new TempDir();
  const path = dir.join("a");
  Deno.writeTextFileSync(path, "old");
  const run = () =>
    assertRejects(() =>
      transformFile(path, (content) => {
        content.fill(0);
        throw new Error("no");
      })
    );
  await run();
  const before = openDescriptors();
  await run();
  assertEquals(openDescriptors(), before);
  assertEquals(Deno.readTextFileSync(path), "old");
  await assertRejects(
    () => transformFile(dir.join("none"), (content) => content),
    SyscallError,
  );
  await assertRejects(
    () => transformFile(dir.path, (content) => content),
    LockError,
  );
});

Deno.test("transformFile: no change of 8 processes is lost", async () => {
  using dir = new TempDir();
  const path = dir.join("count");
  const rounds = 25 * STRESS;
  assertEquals(
    await runWorkers(8, "count", [path, String(rounds)]),
    new Array(8).fill("done"),
  );
  assertEquals(Deno.readTextFileSync(path), String(8 * rounds));
});

Deno.test("appendToFile: whole records of 8 processes, across rotation", async () => {
  using dir = new TempDir();
  const path = dir.join("log");
  const rounds = 50 * STRESS;
  const work = runWorkers(8, "append", [path, String(rounds)]);
  let ended = false;
  work.finally(() => ended = true);
  let rotations = 0;
  while (!ended) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    try {
      Deno.renameSync(path, `${path}.${rotations++}`);
    } catch {
      rotations--; // Nobody has written since.
    }
  }
  assertEquals(await work, new Array(8).fill("done"));
  const lines = [...Deno.readDirSync(dir.path)].flatMap(({ name }) =>
    Deno.readTextFileSync(dir.join(name)).split("\n").slice(0, -1)
  );
  assertEquals(lines.length, 8 * rounds);
  assert(lines.every((line) => /^(\d+) \1{1000}$/.test(line)));
  assert(rotations > 0);
});

Deno.test("appendToFile: a torn line is ended first", async () => {
  using dir = new TempDir();
  const path = dir.join("log");
  Deno.writeTextFileSync(path, "torn");
  const options = { startNewLine: true };
  assertEquals(await appendToFile(path, "one\n", options), {
    startByte: 4n,
    lengthBytes: 5n,
  });
  await appendToFile(path, "two\n", options);
  assertEquals(Deno.readTextFileSync(path), "torn\none\ntwo\n");
});

Deno.test("debounce: once in an interval, and after a set-back clock", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  let time = 1_000_000;
  const run = () =>
    debounce(path, { intervalMs: 1000, now: () => time }, () => time);
  assertEquals(await run(), { ran: true, value: 1_000_000 });
  time += 999;
  assertEquals(await run(), { ran: false });
  time += 1;
  assertEquals(await run(), { ran: true, value: 1_001_000 });
  time -= 500;
  assertEquals(await run(), { ran: true, value: 1_000_500 });
  Deno.writeTextFileSync(path, "data");
  await assertRejects(run, LockError);
  assertEquals(Deno.readTextFileSync(path), "data");
});

Deno.test("upgrade: says whether there was a gap", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  using lock = tryFlock(path, { mode: "shared" })!;
  assertEquals(await upgrade(lock), { uninterrupted: true });
  assertEquals([lock.mode, lock.held], ["exclusive", true]);
  assertEquals(tryFlock(path, { mode: "shared" }), undefined);
  assertEquals(await downgrade(lock), { uninterrupted: true });
  await using other = await holdFlock(path, "shared");
  const conversion = await upgrade(lock, {
    timeoutMs: 10_000,
    onWait: () => other.finish(),
  });
  assertEquals(conversion, { uninterrupted: false });
  assertEquals([lock.mode, lock.held], ["exclusive", true]);
});

Deno.test("upgrade: two sharers at once don't wait for each other", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  const convert = async () => {
    using lock = tryFlock(path, { mode: "shared" })!;
    await Promise.resolve();
    return (await upgrade(lock, { timeoutMs: 10_000 })).uninterrupted;
  };
  assertEquals((await Promise.all([convert(), convert()])).sort(), [
    false,
    true,
  ]);
});

Deno.test("upgrade: gives up with the shared lock, and notices a lost file", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  using lock = tryFlock(path, { mode: "shared" })!;
  await using other = await holdFlock(path, "shared");
  await assertRejects(() => upgrade(lock, { timeoutMs: 20 }), LockTimeoutError);
  assertEquals([lock.mode, lock.held], ["shared", true]);
  await assertRejects(
    () =>
      upgrade(lock, {
        onWait: () => {
          Deno.removeSync(path);
          other.finish();
        },
      }),
    LockError,
    "was lost",
  );
  assertEquals(lock.held, false);
});

Deno.test("getOrBuild: builds once, for all processes", async () => {
  using dir = new TempDir();
  assertEquals(
    await runWorkers(12, "cache", [dir.join("cache"), "3"]),
    new Array(12).fill("done"),
  );
  const built = Deno.readTextFileSync(dir.join("built")).split("\n");
  assertEquals(built.slice(0, -1).sort(), ["key0", "key1", "key2"]);
});

Deno.test("getOrBuild: what builders of other keys have left goes too, unless they are at it", async () => {
  using dir = new TempDir();
  const options = { directory: dir.join("cache") };
  const building = dir.join("cache/.building");
  const token = "0".repeat(32);
  ensureDirSync(`${building}/dead.${token}/part`);
  Deno.writeTextFileSync(`${building}/a.b.${token}`, "half");
  Deno.writeTextFileSync(`${building}/notes`, "of somebody's");
  using _busy = await getOrBuild("busy", async (place) => {
    Deno.writeTextFileSync(place, "half");
    using _other = await getOrBuild(
      "other",
      (path) => Deno.writeTextFileSync(path, ""),
      options,
    );
    assertEquals(Deno.readTextFileSync(place), "half");
  }, options);
  assertEquals([...Deno.readDirSync(building)].map(({ name }) => name), [
    "notes",
  ]);
});

Deno.test("getOrBuild: failed and killed builders leave nothing that counts", async () => {
  using dir = new TempDir();
  const options = { directory: dir.join("cache") };
  const boom = new Error("boom");
  const error = await assertRejects(() =>
    getOrBuild("key", (path) => {
      Deno.writeTextFileSync(path, "half");
      throw boom;
    }, options)
  );
  assertEquals(error, boom);
  ensureDirSync(dir.join("cache/.building/key/left"));
  await assertRejects(() => getOrBuild("key", () => {}, options), LockError);
  using entry = await getOrBuild(
    "key",
    (path) => Deno.writeTextFileSync(path, "whole"),
    options,
  );
  assertEquals([entry.built, Deno.readTextFileSync(entry.path)], [
    true,
    "whole",
  ]);
  await assertRejects(
    () => evict("key", { ...options, timeoutMs: 10 }),
    LockTimeoutError,
  );
  entry.release();
  assertEquals(await evict("key", options), true);
  assertEquals(await evict("key", options), false);
  for (const key of ["", "a/b", "..", ".locks", "a\n", "x".repeat(201)]) {
    await assertRejects(() => getOrBuild(key, () => {}, options), RangeError);
  }
});
