import { assert, assertEquals, assertThrows } from "@std/assert";
import { collectLockFiles } from "../../lib/patterns/gc.ts";
import { joinQueue } from "../../lib/patterns/turnstile.ts";
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
  using _turn = joinQueue(dir.join("free.lock.queue"));
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
