import { assert, assertEquals } from "@std/assert";
import { acquireAll, type GroupMember } from "../../lib/acquire/group.ts";
import { filesInLockOrder } from "../support/lock_order.ts";
import { TempDir } from "../support/temp_dir.ts";
import { runWorkers, STRESS, Worker } from "../patterns/support/workers.ts";

/** Only a deadlock takes as long. */
const TIMEOUT_MS = 60_000;

/** Takes a group and gives it back, doing something when it has to wait. */
async function takeWaiting(
  members: GroupMember[],
  onWait: () => void,
): Promise<void> {
  using group = await acquireAll(members, { timeoutMs: TIMEOUT_MS, onWait });
  assert(group.held);
}

for (const kind of ["flock", "ofd", "posix", "both"] as const) {
  const of = (...paths: string[]) => paths.map((path) => ({ path, kind }));

  Deno.test(`acquireAll: two groups of ${kind} locks, and a file replaced while one waits for it`, async () => {
    using dir = new TempDir();
    const [early, a, b] = filesInLockOrder(dir, 3) as [string, string, string];
    using holder = await acquireAll(of(b));
    const second = Promise.withResolvers<void>();
    const first = takeWaiting(of(a, b), () => {
      Deno.renameSync(early, b);
      // This one has the new file, which comes before the other one, and then
      // waits for that.
      second.resolve(takeWaiting(of(a, b), () => holder.release()));
    });
    await Promise.all([first, second.promise]);
  });

  Deno.test(`acquireAll: two groups of ${kind} locks, and a file replaced while one waits for another`, async () => {
    using dir = new TempDir();
    const [early, a, b, c] = filesInLockOrder(dir, 4) as [
      string,
      string,
      string,
      string,
    ];
    using holder = await acquireAll(of(b));
    const second = Promise.withResolvers<void>();
    const first = takeWaiting(of(a, b, c), () => {
      Deno.renameSync(early, c);
      second.resolve(takeWaiting(of(a, c), () => holder.release()));
    });
    await Promise.all([first, second.promise]);
  });
}

Deno.test("acquireAll: a file of two names is taken anew when either of them means another", async () => {
  using dir = new TempDir();
  const [early, a, b] = filesInLockOrder(dir, 3) as [string, string, string];
  Deno.removeSync(b);
  Deno.linkSync(a, b);
  using holder = await acquireAll([a]);
  using group = await acquireAll([a, b], {
    timeoutMs: TIMEOUT_MS,
    onWait: () => {
      Deno.renameSync(early, b);
      holder.release();
    },
  });
  assertEquals(new Set(group.members).size, 2);
});

for (const strategy of ["ordered-wait", "try-all-backoff"] as const) {
  Deno.test(`acquireAll: ${strategy} while free lock files are removed all the time`, async () => {
    using dir = new TempDir();
    await using remover = await Worker.start("gc", [dir.path]);
    const rounds = String(20 * STRESS);
    assertEquals(
      await runWorkers(8, "groups", [dir.path, "4", rounds, strategy]),
      new Array(8).fill("done"),
    );
    await remover.writeLine("enough");
    assert(Number(await remover.nextLine()) > 0);
  });
}
