import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertStringIncludes,
} from "@std/assert";
import { SyscallError } from "../../mod.ts";
import {
  FlockAttempt,
  tryFlock,
  tryFlockFd,
  unlockFlockFd,
} from "../../lib/lock/flock/flock.ts";
import { openLockFile } from "../../lib/lock/lock_file.ts";
import { closeFile } from "../../lib/sys/file.ts";
import { attemptUntil } from "../../lib/wait/attempt_loop.ts";
import { eventWake } from "../../lib/wait/event_wake.ts";
import { FileEvents } from "../../lib/sys/storage/events.ts";
import { holdFlock } from "../support/foreign_flock.ts";
import { ManualClock, settle } from "../support/manual_clock.ts";
import { openDescriptors } from "../support/open_descriptors.ts";
import { TempDir } from "../support/temp_dir.ts";

const HOUR_MS = 3_600_000;
const ENOSPC = 28;
const PATIENT_WAKES = 4;

Deno.test("another process's close wakes a waiter whose backstop is an hour away", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  await using holder = await holdFlock(path);
  using attempt = new FlockAttempt(path, "exclusive", {});
  let attempts = 0;
  const { value: lock } = await attemptUntil(() => {
    // The first finds it busy; the second comes once the watch is in place.
    if (++attempts === 2) holder.finish();
    return attempt.try();
  }, {
    timeoutMs: 30_000,
    wake: () => eventWake(() => [{ fd: attempt.fd }], { backstopMs: HOUR_MS }),
  });
  assert(lock?.held, "no event came");
  lock.release();
});

Deno.test("a waiter on a path is woken too, and one that comes too late", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  const held = tryFlock(path)!;
  await using wake = eventWake(() => [{ path }], { backstopMs: HOUR_MS });
  // The first wait only begins to watch: the release may have been before.
  await wake.wait(HOUR_MS);
  const woken = wake.wait(HOUR_MS);
  held.release();
  await woken;
  const again = tryFlock(path)!;
  again.release();
  await wake.wait(HOUR_MS);
});

Deno.test("LOCK_UN without close raises no event and is found by the backstop", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  const { fd } = openLockFile(path);
  try {
    assert(tryFlockFd(fd));
    const clock = new ManualClock();
    using attempt = new FlockAttempt(path, "exclusive", {});
    const waiting = attemptUntil(() => attempt.try(), {
      clock,
      wake: () => eventWake(() => [{ fd: attempt.fd }], { clock }),
    });
    await settle();
    unlockFlockFd(fd);
    await settle();
    assertEquals(clock.sleeping, 1, "something woke the waiter");
    assert(clock.untilNext > 150 && clock.untilNext <= 250);
    await clock.advance(250);
    const { value: lock } = await waiting;
    assert(lock?.held);
    lock.release();
  } finally {
    closeFile(fd);
  }
});

Deno.test("the backstop grows to five seconds, and rare attempts are made together", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  using _held = tryFlock(path)!;
  const clock = new ManualClock();
  await using wake = eventWake(() => [{ path }], { clock, random: () => 0 });
  await wake.wait(HOUR_MS);
  const times: number[] = [];
  for (let i = 0; i < 10; i++) {
    const wait = wake.wait(HOUR_MS);
    await clock.advance(clock.untilNext);
    await wait;
    times.push(clock.now());
  }
  assertEquals(
    times,
    [250, 625, 2000, 3000, 5000, 7000, 10_000, 15_000, 20_000, 25_000],
  );
});

Deno.test("where releases are mostly silent, attempts are at most 100 ms apart", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  using _held = tryFlock(path)!;
  const clock = new ManualClock();
  await using wake = eventWake(() => [{ path }], {
    clock,
    random: () => 0,
    mostlySilent: true,
  });
  await wake.wait(HOUR_MS);
  const pauses: number[] = [];
  for (let i = 0; i < 9; i++) {
    const wait = wake.wait(HOUR_MS);
    const pause = clock.untilNext;
    pauses.push(pause);
    await clock.advance(pause);
    await wait;
  }
  assertEquals(pauses, [1, 2, 4, 8, 16, 32, 64, 100, 100]);
  // An event comes through all the same.
  const woken = wake.wait(HOUR_MS);
  closeFile(openLockFile(path).fd);
  await woken;
});

Deno.test("an event whose attempt fails is followed by one more soon, and many by a pause", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  using _held = tryFlock(path)!;
  const clock = new ManualClock();
  await using wake = eventWake(() => [{ path }], { clock, random: () => 0 });
  await wake.wait(HOUR_MS);
  const pauses: number[] = [];
  for (let i = 0; i < 9; i++) {
    const wait = wake.wait(HOUR_MS);
    await settle();
    const pause = clock.untilNext;
    pauses.push(pause);
    if (i > PATIENT_WAKES) await clock.advance(pause);
    closeFile(openLockFile(path).fd);
    await wait;
  }
  // Just after Linux reports the close the lock may still be held for an
  // instant; here the next event comes before that is over.
  assertEquals(pauses, [250, 0.05, 0.05, 0.05, 0.05, 0.5, 1, 2, 4]);
});

Deno.test("the removal of a directory's entry wakes, that of another doesn't", async () => {
  using dir = new TempDir();
  Deno.writeTextFileSync(dir.join("mine"), "");
  Deno.writeTextFileSync(dir.join("other"), "");
  const clock = new ManualClock();
  await using wake = eventWake(
    () => [{ directory: dir.path, entry: "mine" }],
    { clock },
  );
  await wake.wait(HOUR_MS);
  let woken = false;
  const wait = wake.wait(HOUR_MS).then(() => woken = true);
  Deno.removeSync(dir.join("other"));
  await settle();
  assertEquals(woken, false);
  Deno.removeSync(dir.join("mine"));
  await wait;
});

Deno.test("a file opened anew is watched instead", async () => {
  using dir = new TempDir();
  let path = dir.join("a");
  Deno.writeTextFileSync(path, "");
  Deno.writeTextFileSync(dir.join("b"), "");
  await using wake = eventWake(() => [{ path }], { backstopMs: HOUR_MS });
  await wake.wait(HOUR_MS);
  path = dir.join("b");
  // Returns at once: what happened to b before isn't known.
  await wake.wait(HOUR_MS);
  const woken = wake.wait(HOUR_MS);
  closeFile(openLockFile(path).fd);
  await woken;
});

Deno.test("a file that is removed for good wakes", async () => {
  using dir = new TempDir();
  const path = dir.join("a");
  Deno.writeTextFileSync(path, "");
  let target = path;
  await using wake = eventWake(() => [{ path: target }], {
    backstopMs: HOUR_MS,
  });
  await wake.wait(HOUR_MS);
  const woken = wake.wait(HOUR_MS);
  Deno.removeSync(path);
  await woken;
  target = dir.path;
  await wake.wait(HOUR_MS);
});

Deno.test("out of watches, it polls and says so once", async () => {
  class FullEvents extends FileEvents {
    override add(): number {
      return -ENOSPC;
    }
  }
  const clock = new ManualClock();
  const reasons: Error[] = [];
  await using wake = eventWake(() => [{ path: "/tmp" }], {
    clock,
    random: () => 0,
    events: new FullEvents(),
    onDegraded: (reason) => reasons.push(reason),
  });
  await wake.wait(HOUR_MS);
  const pauses: number[] = [];
  for (let i = 0; i < 9; i++) {
    const wait = wake.wait(HOUR_MS);
    const pause = clock.untilNext;
    pauses.push(pause);
    await clock.advance(pause);
    await wait;
  }
  assertEquals(pauses, [1, 2, 4, 8, 16, 32, 64, 100, 100]);
  assertEquals(reasons.length, 1);
  assertInstanceOf(reasons[0], SyscallError);
  assertEquals(reasons[0].code, "ENOSPC");
  assertStringIncludes(reasons[0].message, "max_user_watches");
});

Deno.test("an abort and the time's end wake, and nothing is left behind", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  using _held = tryFlock(path)!;
  const before = openDescriptors();
  {
    await using wake = eventWake(() => [{ path }], { backstopMs: HOUR_MS });
    await wake.wait(HOUR_MS);
    await wake.wait(1);
    const controller = new AbortController();
    const wait = wake.wait(HOUR_MS, controller.signal);
    controller.abort();
    await wait;
    await wake.wait(HOUR_MS, controller.signal);
  }
  assertEquals(openDescriptors(), before);
});
