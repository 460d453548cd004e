import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
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
import { attemptUntil, type WaitOptions } from "../../lib/wait/attempt_loop.ts";
import { eventWake } from "../../lib/wait/event_wake.ts";
import type { WakeSource } from "../../lib/wait/wake.ts";
import { FileEvents } from "../../lib/sys/storage/events.ts";
import { holdFlock } from "../support/foreign_flock.ts";
import { ManualClock, settle } from "../support/manual_clock.ts";
import { openDescriptors } from "../support/open_descriptors.ts";
import { TempDir } from "../support/temp_dir.ts";
import { within } from "../support/within.ts";

const HOUR_MS = 3_600_000;
const ENOSPC = 28;
const PATIENT_WAKES = 4;

/** Makes sure that a wait goes on, on a clock that stands still. */
async function asleep(wait: Promise<void>, clock: ManualClock): Promise<void> {
  let isOver = false;
  wait.then(() => isOver = true);
  await settle();
  assertEquals([isOver, clock.sleeping], [false, 1]);
}

Deno.test("another process's close wakes a waiter whose backstop is an hour away", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  await using holder = await holdFlock(path);
  using attempt = new FlockAttempt(path, "exclusive", {});
  let attempts = 0;
  const waiting = attemptUntil(() => {
    // The first finds it busy; the second comes once the watch is in place.
    if (++attempts === 2) holder.finish();
    return attempt.try();
  }, {
    wake: () => eventWake(() => [{ fd: attempt.fd }], { backstopMs: HOUR_MS }),
  });
  const { value: lock } = await within(waiting, "the wake by a close");
  assert(lock?.held);
  lock.release();
});

Deno.test("a waiter on a path is woken too, and one that comes too late", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  const held = tryFlock(path)!;
  const clock = new ManualClock();
  await using wake = eventWake(() => [{ path }], { clock });
  // The first wait only begins to watch: the release may have been before.
  await within(wake.wait(HOUR_MS), "the first wait's end");
  const woken = wake.wait(HOUR_MS);
  await asleep(woken, clock);
  held.release();
  await within(woken, "the wake by a release");
  tryFlock(path)!.release();
  // No clock moves: it is the release that ends this one too.
  await within(wake.wait(HOUR_MS), "the wake by a release before");
  await asleep(wake.wait(HOUR_MS), clock);
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
  await asleep(woken, clock);
  closeFile(openLockFile(path).fd);
  await within(woken, "the wake by a close");
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
    await within(wait, "the wake by a close");
  }
  // Just after Linux reports the close the lock may still be held for an
  // instant; here the next event comes before that is over.
  assertEquals(pauses, [250, 0.05, 0.05, 0.05, 0.05, 0.5, 1, 2, 4]);
});

Deno.test("the removal of a directory's entry wakes, that of another doesn't", async () => {
  using dir = new TempDir();
  const clock = new ManualClock();
  const wakeFor = (entry: string) => {
    Deno.writeTextFileSync(dir.join(entry), "");
    return eventWake(() => [{ directory: dir.path, entry }], { clock });
  };
  await using wake = wakeFor("mine");
  await using other = wakeFor("other");
  for (const each of [wake, other]) {
    await within(each.wait(HOUR_MS), "the first wait's end");
  }
  let woken = false;
  const wait = wake.wait(HOUR_MS).then(() => woken = true);
  const otherWait = other.wait(HOUR_MS);
  await settle();
  assertEquals([woken, clock.sleeping], [false, 2]);
  Deno.removeSync(dir.join("other"));
  await within(otherWait, "the other's wake");
  await settle();
  assertEquals(woken, false);
  Deno.removeSync(dir.join("mine"));
  await within(wait, "the wake by a removal");
});

Deno.test("a file opened anew is watched instead", async () => {
  using dir = new TempDir();
  const [before, now] = [dir.join("before"), dir.join("now")];
  for (const path of [before, now]) Deno.writeTextFileSync(path, "");
  const clock = new ManualClock();
  let path = before;
  await using wake = eventWake(() => [{ path }], { clock });
  await using witness = eventWake(() => [{ path: before }], { clock });
  for (const each of [wake, witness]) {
    await within(each.wait(HOUR_MS), "the first wait's end");
  }
  path = now;
  await within(wake.wait(HOUR_MS), "the end of a wait for a new file");
  let woken = false;
  const wait = wake.wait(HOUR_MS).then(() => woken = true);
  const witnessed = witness.wait(HOUR_MS);
  closeFile(openLockFile(before).fd);
  await within(witnessed, "the wake of who still watches the other");
  await settle();
  assertEquals(woken, false);
  closeFile(openLockFile(now).fd);
  await within(wait, "the wake by a close of the new one");
});

Deno.test("a file that is removed for good wakes, and another can be watched", async () => {
  using dir = new TempDir();
  const [removed, other] = [dir.join("removed"), dir.join("other")];
  for (const path of [removed, other]) Deno.writeTextFileSync(path, "");
  const clock = new ManualClock();
  let path = removed;
  await using wake = eventWake(() => [{ path }], { clock });
  await within(wake.wait(HOUR_MS), "the first wait's end");
  const woken = wake.wait(HOUR_MS);
  await asleep(woken, clock);
  Deno.removeSync(removed);
  await within(woken, "the wake by a removal");
  path = other;
  await within(wake.wait(HOUR_MS), "the end of a wait for a new file");
  const again = wake.wait(HOUR_MS);
  closeFile(openLockFile(other).fd);
  await within(again, "the wake by a close");
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
    const clock = new ManualClock();
    await using wake = eventWake(() => [{ path }], {
      clock,
      backstopMs: HOUR_MS,
    });
    await within(wake.wait(HOUR_MS), "the first wait's end");
    const timed = wake.wait(1);
    await asleep(timed, clock);
    await clock.advance(1);
    await within(timed, "the end of the time");
    const controller = new AbortController();
    const { signal } = controller;
    const wait = wake.wait(HOUR_MS, signal);
    await asleep(wait, clock);
    controller.abort();
    await within(wait, "the end by an abort");
    await within(wake.wait(HOUR_MS, signal), "a wait that is over already");
  }
  assertEquals(openDescriptors(), before);
});

Deno.test("what wakes may not be there yet when the time is up or the signal aborts, and is disposed of then", async () => {
  let disposed = 0;
  const late = Promise.withResolvers<WakeSource>();
  const busy = (options: WaitOptions) =>
    attemptUntil(() => undefined, { ...options, wake: () => late.promise });
  const { value } = await within(busy({ timeoutMs: 5 }), "the time's end");
  assertEquals(value, undefined);
  const controller = new AbortController();
  const reason = new Error("enough");
  const given = assertRejects(() => busy({ signal: controller.signal }));
  await settle();
  controller.abort(reason);
  assertEquals(await within(given, "the end by an abort"), reason);
  late.resolve({
    wait: () => Promise.reject(new Error("nobody waits any more")),
    [Symbol.asyncDispose]() {
      disposed++;
      return Promise.resolve();
    },
  });
  await settle();
  assertEquals(disposed, 2);
});

Deno.test("who is late to learn what wakes makes a last attempt", async () => {
  let isFree = false;
  const { value } = await within(
    attemptUntil(() => isFree || undefined, {
      timeoutMs: 5,
      wake: () => {
        isFree = true;
        return new Promise(() => {});
      },
    }),
    "the time's end",
  );
  assertEquals(value, true);
});

Deno.test("without a thread to tell of events, it polls and says so once", async () => {
  class DeafEvents extends FileEvents {
    override listen(): boolean {
      return false;
    }
  }
  using dir = new TempDir();
  const path = dir.join("a");
  Deno.writeTextFileSync(path, "");
  const clock = new ManualClock();
  const reasons: string[] = [];
  const before = openDescriptors();
  {
    await using wake = eventWake(() => [{ path }], {
      clock,
      random: () => 0,
      events: new DeafEvents(),
      onDegraded: ({ message }) => reasons.push(message),
    });
    // Each of the first two is followed by an attempt at once.
    for (let i = 0; i < 2; i++) {
      await within(wake.wait(HOUR_MS), "a wait's end");
    }
    const pauses: number[] = [];
    for (let i = 0; i < 3; i++) {
      const wait = wake.wait(HOUR_MS);
      pauses.push(clock.untilNext);
      await clock.advance(clock.untilNext);
      await within(wait, "a pause's end");
    }
    assertEquals(pauses, [1, 2, 4]);
  }
  assertEquals(reasons, [
    "Polling: this process can't start a thread to wait for events",
  ]);
  assertEquals(openDescriptors(), before);
});
