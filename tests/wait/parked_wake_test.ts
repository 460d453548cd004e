import { assert, assertEquals, assertRejects } from "@std/assert";
import { acquire, LockTimeoutError, tryAcquire } from "../../mod.ts";
import { acquireRecordLock } from "../../lib/acquire/record_lock.ts";
import { tryRecordLock } from "../../lib/lock/record/record_lock_attempt.ts";
import { parseProcLocks } from "../../lib/proc/proc_locks.ts";
import type { ParkedCall } from "../../lib/sys/thread/parked_call.ts";
import { parkedWake } from "../../lib/wait/parked_wake.ts";
import { HelperProcess } from "../support/helper_process.ts";
import { holdFlock } from "../support/foreign_flock.ts";
import { settle } from "../support/manual_clock.ts";
import { runScript } from "../support/run_script.ts";
import { settled } from "../support/settled.ts";
import { TempDir } from "../support/temp_dir.ts";
import { until } from "../support/until.ts";

const MOD = new URL("../../mod.ts", import.meta.url);
const RECORD = new URL("../../lib/acquire/record_lock.ts", import.meta.url);
const LIBC = new URL("../../lib/sys/libc.ts", import.meta.url);

/** The kinds of lock on a file that someone is asleep for in the kernel. */
function waitsFor(path: string): string[] {
  const { ino } = Deno.statSync(path);
  return settled(() =>
    parseProcLocks(Deno.readTextFileSync("/proc/locks"))
      .filter(({ blocked, inode }) => blocked && inode === BigInt(ino!))
      .map(({ type }) => type)
  );
}

const untilWaiting = (path: string) => until(() => waitsFor(path).length > 0);

for (
  const [type, take] of [
    ["FLOCK", acquire],
    ["OFDLCK", acquireRecordLock],
  ] as const
) {
  Deno.test(`${type}: a wait stands in /proc/locks until it is given up`, async () => {
    using dir = new TempDir();
    const path = dir.join("a.lock");
    using _flock = tryAcquire(path)!;
    using _range = tryRecordLock(path)!;
    const controller = new AbortController();
    const wait = take(path, { signal: controller.signal });
    await untilWaiting(path);
    assertEquals(waitsFor(path), [type]);
    controller.abort();
    await assertRejects(() => wait, DOMException);
    assertEquals(waitsFor(path), []);
    await assertRejects(() => take(path, { timeoutMs: 20 }), LockTimeoutError);
    assertEquals(waitsFor(path), []);
  });

  Deno.test(`${type}: a release at the very moment of the deadline loses no lock`, async () => {
    using dir = new TempDir();
    const path = dir.join("a.lock");
    const tryTake = type === "FLOCK" ? tryAcquire : tryRecordLock;
    let granted = 0;
    let late = 0;
    // A busy machine may bring all of them late for long.
    const isOneSided = () => granted === 0 || late === 0;
    for (let round = 0; round < (isOneSided() ? 3000 : 150); round++) {
      const holder = tryTake(path);
      assert(holder !== undefined, `round ${round} finds it held`);
      const ending = take(path, { timeoutMs: 4 })
        .catch((error: unknown) => error);
      // Around the deadline, and what it takes to interrupt a thread.
      const end = performance.now() + 2 + (round % 30) / 5;
      while (performance.now() < end) await settle();
      holder.release();
      const result = await ending;
      if (result instanceof LockTimeoutError) late++;
      else {
        assert(!(result instanceof Error), `${result}`);
        (result as Disposable)[Symbol.dispose]();
        granted++;
      }
    }
    assert(granted > 0 && late > 0, `${granted} granted, ${late} late`);
    assertEquals(waitsFor(path), []);
  });
}

Deno.test("processes that give up at random moments never share a lock", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  const counter = dir.join("counter");
  Deno.writeTextFileSync(counter, "0");
  const code = `
    import { acquire } from ${JSON.stringify(MOD)};
    import { acquireRecordLock } from ${JSON.stringify(RECORD)};
    const [path, counter, kind] = Deno.args;
    const take = kind === "flock" ? acquire : acquireRecordLock;
    let held = 0;
    for (let round = 0; round < 60; round++) {
      const timeoutMs = Math.random() * 6;
      const lock = await take(path, { timeoutMs }).catch(() => undefined);
      if (lock === undefined) continue;
      const value = Number(Deno.readTextFileSync(counter));
      if (round % 3 === 0) await new Promise((go) => setTimeout(go, 1));
      Deno.writeTextFileSync(counter, String(value + 1));
      held++;
      lock.release();
    }
    console.log(held);
  `;
  for (const kind of ["flock", "ofd"]) {
    Deno.writeTextFileSync(counter, "0");
    const counts = await Promise.all(
      Array.from({ length: 6 }, async () => {
        await using one = HelperProcess.spawn(Deno.execPath(), [
          "eval",
          "--no-config",
          code,
          path,
          counter,
          kind,
        ]);
        const count = Number(await one.nextLine());
        await one.finish();
        return count;
      }),
    );
    const sum = counts.reduce((sum, count) => sum + count, 0);
    assert(counts.every((count) => count > 0) && sum < 6 * 60, `${counts}`);
    assertEquals(Number(Deno.readTextFileSync(counter)), sum, kind);
  }
});

Deno.test("a call that keeps failing gives way to the fallback", async () => {
  let parked = 0;
  const failing = (): ParkedCall => {
    parked++;
    return { ended: Promise.resolve(), interrupt() {} };
  };
  let waits = 0;
  let disposed = 0;
  {
    await using wake = parkedWake(failing, () => ({
      wait() {
        waits++;
        return Promise.resolve();
      },
      [Symbol.asyncDispose]() {
        disposed++;
        return Promise.resolve();
      },
    }));
    for (let i = 0; i < 5; i++) await wake.wait(Infinity);
  }
  assertEquals([parked, waits, disposed], [3, 2, 1]);
});

Deno.test("where the waking signal is blocked, a wait still ends in time", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  await using _holder = await holdFlock(path);
  const code = `
    import { acquire } from ${JSON.stringify(MOD)};
    const end = await acquire(Deno.args[0], { timeoutMs: 50 })
      .catch((error) => error.name);
    console.log(end);
  `;
  await using waiter = HelperProcess.spawn("env", [
    "--block-signal",
    Deno.execPath(),
    "eval",
    "--no-config",
    code,
    path,
  ]);
  assertEquals(await waiter.nextLine(), "LockTimeoutError");
});

Deno.test("where no signal can be queued, a wait still ends in time, and when given up", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  await using _holder = await holdFlock(path);
  await using waiter = await runScript(
    `
    const { libc } = await import(${JSON.stringify(LIBC)});
    const { acquire } = await import(${JSON.stringify(MOD)});
    const RLIMIT_SIGPENDING = 11;
    const none = new BigUint64Array(2);
    say(libc.prlimit(0, RLIMIT_SIGPENDING, none, null) === 0 ? "ready" : "no");
    await acquire(args[0], { timeoutMs: 50 })
      .catch((error) => say(error.name));
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 50);
    await acquire(args[0], { signal: controller.signal })
      .catch((error) => say(error.name));
    `,
    path,
  );
  assertEquals(await waiter.nextLine(), "LockTimeoutError");
  assertEquals(await waiter.nextLine(), "AbortError");
});
