import { assert, assertEquals } from "@std/assert";
import { cliArgs } from "../../support/cli.ts";
import { HelperProcess } from "../../support/helper_process.ts";
import { filesInLockOrder } from "../../support/lock_order.ts";
import { TempDir } from "../../support/temp_dir.ts";
import { STRESS, Worker } from "../../patterns/support/workers.ts";

/** Only a deadlock takes as long. */
const TIMEOUT = "60s";

/** Starts `run` on some files. */
function start(files: string[]): HelperProcess {
  const args = ["run", "--json-events=1", `-w${TIMEOUT}`, ...files];
  return HelperProcess.spawn(Deno.execPath(), cliArgs([...args, "--", "true"]));
}

/** Reads its events up to a wait, and gives the file that it waits for. */
async function waitedFor(run: HelperProcess): Promise<string> {
  for (;;) {
    const { event, path } = JSON.parse((await run.nextLine())!);
    if (event === "waiting") return path;
  }
}

for (const kind of ["flock", "ofd", "both"]) {
  const flags = ["-k", kind];

  Deno.test(`run: two groups of ${kind} locks, and a file replaced while one waits for it`, async () => {
    using dir = new TempDir();
    const [early, a, b] = filesInLockOrder(dir, 3) as [string, string, string];
    await using holder = await hold(b, kind);
    await using first = start([...flags, a, b]);
    assertEquals(await waitedFor(first), b);
    Deno.renameSync(early, b);
    await using second = start([...flags, a, b]);
    assertEquals(await waitedFor(second), a);
    await holder.finish();
    assertEquals((await first.status).code, 0);
    assertEquals((await second.status).code, 0);
  });
}

/** Holds a lock until its stdin ends. */
function hold(path: string, kind: string): Promise<HelperProcess> {
  return HelperProcess.start(
    Deno.execPath(),
    cliArgs(["run", "-k", kind, path, "--", "sh", "-c", "echo ready; read _"]),
  );
}

Deno.test("run: groups while free lock files are removed all the time", async () => {
  using dir = new TempDir();
  await using remover = await Worker.start("gc", [dir.path]);
  const names = ["a", "b", "c"].map((name) => dir.join(`${name}.lock`));
  const rounds = 5 * STRESS;
  await Promise.all(Array.from({ length: 4 }, async (_, first) => {
    for (let round = 0; round < rounds; round++) {
      const files = [first, first + 1].map((index) => names[index % 3]!);
      await using run = start(files);
      while (await run.nextLine() !== undefined);
      assertEquals((await run.status).code, 0);
    }
  }));
  await remover.writeLine("enough");
  assert(Number(await remover.nextLine()) > 0);
});
