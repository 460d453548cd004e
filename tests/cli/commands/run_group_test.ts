import { assert, assertEquals } from "@std/assert";
import {
  readSleepingCalls,
  SYSCALL_NUMBERS,
} from "../../../lib/sys/sleeping_call.ts";
import { cliArgs } from "../../support/cli.ts";
import { HelperProcess } from "../../support/helper_process.ts";
import { filesInLockOrder } from "../../support/lock_order.ts";
import { TempDir } from "../../support/temp_dir.ts";
import { until } from "../../support/until.ts";
import { STRESS, Worker } from "../../patterns/support/workers.ts";

/** Only a deadlock takes as long. */
const TIMEOUT = "60s";

/** Starts `run` on some files. */
function start(files: string[]): HelperProcess {
  const args = ["run", "--json-events=1", `-w${TIMEOUT}`, ...files];
  return HelperProcess.spawn(Deno.execPath(), cliArgs([...args, "--", "true"]));
}

/** Holds a lock by `run` until its stdin ends. */
function hold(flags: readonly string[], path: string): Promise<HelperProcess> {
  const script = "echo ready; read -r _";
  return HelperProcess.start(
    Deno.execPath(),
    cliArgs(["run", ...flags, path, "--", "sh", "-c", script]),
  );
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
    await using holder = await hold(flags, b);
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

for (
  const [what, flags, heldBy] of [
    ["a flock", [], []],
    ["an OFD lock", ["-k", "ofd"], ["-k", "ofd"]],
    ["a POSIX lock", ["-k", "posix"], ["-k", "ofd"]],
    ["both", ["-k", "both"], ["-k", "both"]],
    ["its turn", ["--fair"], ["--fair"]],
    ["an interval's lock", ["--every", "1h"], []],
  ] as const
) {
  Deno.test(`run: a wait for ${what} is one call that sleeps on the main thread`, async () => {
    using dir = new TempDir();
    const path = dir.join("l");
    await using holder = await hold(heldBy, path);
    await using run = start([...flags, path]);
    assertEquals(await waitedFor(run), path);
    const { flock, fcntl } = SYSCALL_NUMBERS;
    await until(() =>
      readSleepingCalls(run.pid).some(({ threadId, number }) =>
        threadId === run.pid && (number === flock || number === fcntl)
      )
    );
    await holder.finish();
    assertEquals((await run.status).code, 0);
  });
}
