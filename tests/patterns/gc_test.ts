import { assert, assertEquals, assertThrows } from "@std/assert";
import { tryLinkLock } from "../../lib/lock/link/mod.ts";
import { getOrBuild } from "../../lib/patterns/cache.ts";
import { acquireIfDue } from "../../lib/patterns/debounce.ts";
import { collectLockFiles } from "../../lib/patterns/gc.ts";
import { acquireSlots } from "../../lib/patterns/slots.ts";
import { WaitBudget } from "../../lib/acquire/budget.ts";
import { acquireFair, joinQueue } from "../../lib/patterns/turnstile.ts";
import { SyscallError } from "../../lib/sys/error.ts";
import { runScript } from "../support/run_script.ts";
import { holdFlock } from "../support/foreign_flock.ts";
import { openDescriptors } from "../support/open_descriptors.ts";
import { TempDir } from "../support/temp_dir.ts";
import { runWorkers, STRESS, Worker } from "./support/workers.ts";

function outcomes(dir: TempDir, options = {}): Record<string, string> {
  return Object.fromEntries(
    collectLockFiles(dir.path, options).map(({ path, outcome }) => [
      path.slice(dir.path.length + 1),
      outcome,
    ]),
  );
}

Deno.test("collectLockFiles: removes what nobody needs, and only that", async () => {
  using dir = new TempDir();
  for (const name of ["free.lock", "held.lock", "kept.txt"]) {
    Deno.writeTextFileSync(dir.join(name), "");
  }
  Deno.writeTextFileSync(dir.join("data.lock"), "precious");
  Deno.writeTextFileSync(dir.join("state.lock"), "holdfast queue 1 7\n");
  Deno.mkdirSync(dir.join("directory.lock"));
  Deno.symlinkSync(dir.join("kept.txt"), dir.join("link.lock"));
  await new Deno.Command("mkfifo", { args: [dir.join("fifo.lock")] }).output();
  await using _holder = await holdFlock(dir.join("held.lock"));
  using _turn = await joinQueue(
    dir.join("free.lock.queue"),
    new WaitBudget({}),
  );
  const before = openDescriptors();
  assertEquals(outcomes(dir, { dryRun: true })["free.lock"], "would-remove");
  assertEquals(outcomes(dir, { olderThanMs: 60_000 })["free.lock"], "recent");
  assertEquals(outcomes(dir), {
    "data.lock": "has-content",
    "free.lock": "removed",
    "free.lock.queue": "held",
    "held.lock": "held",
    "state.lock": "removed",
  });
  assertEquals(openDescriptors(), before);
  assertEquals(
    [...Deno.readDirSync(dir.path)].map(({ name }) => name).sort(),
    [
      "data.lock",
      "directory.lock",
      "fifo.lock",
      "free.lock.queue",
      "held.lock",
      "kept.txt",
      "link.lock",
    ],
  );
  assertEquals(
    outcomes(dir, {
      withContent: true,
      match: (name: string) => /data/.test(name),
    }),
    { "data.lock": "removed" },
  );
});

Deno.test("collectLockFiles: a record lock keeps a file too", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  await using _holder = await runScript(
    `posix(open(args[0]), [5, 1]); say("ready"); end();`,
    path,
  );
  assertEquals(outcomes(dir), { "a.lock": "held" });
});

Deno.test("collectLockFiles: a link lock is never removed, whatever is asked for", () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  using lock = tryLinkLock(path)!;
  const token = "0123456789abcdef".repeat(2);
  for (const part of ["new", "old", "claim-0"]) {
    Deno.writeTextFileSync(dir.join(`.a.lock.${token}.${part}`), "");
  }
  const names = [
    `.a.lock.${token}.claim-0`,
    `.a.lock.${token}.new`,
    `.a.lock.${token}.old`,
    ".a.lock.last",
    "a.lock",
  ];
  assertEquals(
    outcomes(dir, { withContent: true, match: () => true }),
    Object.fromEntries(names.map((name) => [name, "link-lock"])),
  );
  lock.check();
  assertEquals([...Deno.readDirSync(dir.path)].length, names.length);
});

Deno.test("collectLockFiles: the state of --every stays until the longest interval is over", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  const hour = 3_600_000;
  let now = Date.now() - 3 * hour;
  const runs = async (intervalMs: number) => {
    using lock = await acquireIfDue(path, { intervalMs, now: () => now });
    return lock !== undefined;
  };
  assertEquals(await runs(4 * hour), true);
  now += 2 * hour;
  // Those with the longer interval must not run before that is over.
  assertEquals([await runs(hour), await runs(4 * hour)], [true, false]);
  assertEquals(outcomes(dir), { "a.lock": "state" });
  assertEquals(outcomes(dir, { withContent: true }), { "a.lock": "state" });
  const text = Deno.readTextFileSync(path);
  const long = new Date(Date.now() - 5 * hour).toISOString();
  Deno.writeTextFileSync(path, text.replace(/\d{4}-\S+Z/, long));
  assertEquals(outcomes(dir), { "a.lock": "removed" });
  Deno.writeTextFileSync(path, "holdfast novelty 1 of a later version\n");
  assertEquals(outcomes(dir, { withContent: true }), { "a.lock": "state" });
});

Deno.test("collectLockFiles: slots, turns, caches and interrupted changes, each by its rules", async () => {
  using dir = new TempDir();
  const slots = dir.join("build.slots");
  (await acquireSlots(slots, { slots: 2, want: 2, fair: true })).release();
  using _held = await acquireSlots(slots, { slots: 2 });
  Deno.writeTextFileSync(dir.join("slot.7"), "");
  (await acquireFair(dir.join("fair.lock"))).release();
  const directory = dir.join("cache");
  for (const key of ["file.lock", "directory"]) {
    (await getOrBuild(key, (path) => {
      if (key === "directory") Deno.mkdirSync(path);
      Deno.writeTextFileSync(
        key === "directory" ? `${path}/empty.lock` : path,
        "",
      );
    }, { directory })).release();
  }
  const uuid = crypto.randomUUID();
  const temporary = [`.holdfast.${uuid}`, `.holdfast.${crypto.randomUUID()}`];
  for (const name of [...temporary, ".holdfast.mine"]) {
    Deno.writeTextFileSync(dir.join(name), "half");
  }
  Deno.utimeSync(dir.join(temporary[0]!), 1, 1);
  assertEquals(outcomes(dir, { recursive: true }), {
    [temporary[0]!]: "removed",
    [temporary[1]!]: "recent",
    "build.slots/queue": "removed",
    "build.slots/scan.lock": "removed",
    "build.slots/slot.0": "held",
    "build.slots/slot.1": "removed",
    "cache/.locks/directory.lock": "removed",
    "cache/.locks/file.lock.lock": "removed",
    "fair.lock": "removed",
    "fair.lock.queue": "removed",
  });
  Deno.writeTextFileSync(dir.join(".a.holdfast-old.7"), "all that is left");
  assertEquals(
    outcomes(dir, {
      withContent: true,
      match: (name: string) => name.includes("-old."),
    }),
    { ".a.holdfast-old.7": "has-content" },
  );
  assertEquals(
    outcomes({ path: directory } as TempDir, { recursive: true }),
    {},
  );
  for (const path of ["file.lock", "directory/empty.lock"]) {
    assertEquals(Deno.readTextFileSync(`${directory}/${path}`), "");
  }
});

Deno.test("collectLockFiles: a directory swapped for a symbolic link leads nowhere", () => {
  using dir = new TempDir();
  using outside = new TempDir();
  for (const path of [dir.join("sub"), dir.join("sub/below")]) {
    Deno.mkdirSync(path);
  }
  Deno.mkdirSync(outside.join("below"));
  for (const path of ["1.lock", "2.lock", "below/3.lock"]) {
    Deno.writeTextFileSync(dir.join(`sub/${path}`), "");
    Deno.writeTextFileSync(outside.join(path), "");
  }
  // Whatever has been looked at by then, the rest is below "sub".
  let swapped = false;
  const match = (name: string) => {
    if (!swapped) {
      swapped = true;
      Deno.renameSync(dir.join("sub"), dir.join("moved"));
      Deno.symlinkSync(outside.path, dir.join("sub"));
    }
    return name.endsWith(".lock");
  };
  assertEquals(outcomes(dir, { recursive: true, match }), {
    "sub/1.lock": "removed",
    "sub/2.lock": "removed",
    "sub/below/3.lock": "removed",
  });
  assertEquals([...Deno.readDirSync(outside.path)].length, 3);
  assertEquals([...Deno.readDirSync(outside.join("below"))].length, 1);
});

Deno.test("collectLockFiles: while a directory is swapped for a symbolic link again and again", async () => {
  using dir = new TempDir();
  using outside = new TempDir();
  Deno.writeTextFileSync(outside.join("a.lock"), "");
  await using swapper = await Worker.start("swap", [dir.path, outside.path]);
  for (let pass = 0; pass < 5000 * STRESS; pass++) {
    collectLockFiles(dir.path, { recursive: true });
  }
  await swapper.writeLine("");
  assert(Number(await swapper.nextLine()) > 0);
  assertEquals([...Deno.readDirSync(outside.path)].length, 1);
});

Deno.test("collectLockFiles: a tree too deep for descriptors fails in one place", () => {
  using dir = new TempDir();
  Deno.writeTextFileSync(dir.join("a.lock"), "");
  Deno.mkdirSync(dir.join(new Array(300).fill("d").join("/")), {
    recursive: true,
  });
  const before = openDescriptors();
  const [first, second, ...more] = collectLockFiles(dir.path, {
    recursive: true,
  });
  assertEquals([first?.outcome, second?.outcome, more], [
    "removed",
    "failed",
    [],
  ]);
  assert(second?.error?.message.includes("directories deep"));
  assertEquals(openDescriptors(), before);
});

Deno.test("collectLockFiles: below, where asked to, and old files", () => {
  using dir = new TempDir();
  Deno.mkdirSync(dir.join("sub"));
  Deno.symlinkSync(dir.join("sub"), dir.join("loop"));
  Deno.writeTextFileSync(dir.join("sub/old.lock"), "");
  Deno.writeTextFileSync(dir.join("sub/new.lock"), "");
  Deno.utimeSync(dir.join("sub/old.lock"), 1, 1);
  assertEquals(outcomes(dir), {});
  assertEquals(outcomes(dir, { recursive: true, olderThanMs: 86_400_000 }), {
    "sub/new.lock": "recent",
    "sub/old.lock": "removed",
  });
});

Deno.test("collectLockFiles: bad arguments", () => {
  assertThrows(() => collectLockFiles("/nonexistent"), SyscallError);
  assertThrows(() => collectLockFiles("/tmp", { olderThanMs: -1 }), RangeError);
});

Deno.test("collectLockFiles: 50 processes take locks meanwhile, none is held twice", async () => {
  using dir = new TempDir();
  await using collector = await Worker.start("gc", [dir.path]);
  const rounds = String(20 * STRESS);
  assertEquals(
    await runWorkers(50, "locks", [dir.path, "4", rounds]),
    new Array(50).fill("done"),
  );
  await collector.writeLine("");
  const removed = Number(await collector.nextLine());
  assert(removed > 20, `only ${removed} files were removed`);
  assertEquals(await collector.nextLine(), "done");
});
