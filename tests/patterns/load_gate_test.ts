import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertRejects,
  assertThrows,
} from "@std/assert";
import {
  LoadTimeoutError,
  readLoadOver,
  waitForLoad,
} from "../../lib/patterns/load_gate.ts";
import { LockError } from "../../lib/sys/error.ts";
import { readText } from "../../lib/sys/file.ts";
import { getLoadAverages } from "../../lib/sys/loadavg.ts";
import { fakeClock } from "../support/fake_clock.ts";

function readings(...loads: number[]): () => number[] {
  let index = 0;
  return () => [loads[Math.min(index++, loads.length - 1)]!, 50, 70];
}

Deno.test("getLoadAverages gives what /proc/loadavg says, as many as asked", () => {
  for (const count of [1, 2, 3]) {
    assertEquals(getLoadAverages(count).length, count);
  }
  // The kernel may compute them anew between the two readings.
  for (let attempt = 0;; attempt++) {
    const [one, five, fifteen] = getLoadAverages();
    const proc = readText("/proc/loadavg").split(" ").map(Number);
    try {
      assertAlmostEquals(one!, proc[0]!, 0.011);
      assertAlmostEquals(five!, proc[1]!, 0.011);
      assertAlmostEquals(fifteen!, proc[2]!, 0.011);
      break;
    } catch (error) {
      if (attempt === 3) throw error;
    }
  }
  for (const count of [0, 4, 1.5, NaN]) {
    assertThrows(() => getLoadAverages(count), RangeError, "1, 2 or 3");
  }
});

Deno.test("the load that is low enough ends the wait at once", async () => {
  const clock = fakeClock();
  assertEquals(await waitForLoad(2, { readLoad: readings(2), clock }), 2);
  assertEquals(clock.sleeps, []);
});

Deno.test("the load is read every interval until it has come down", async () => {
  const clock = fakeClock();
  const seen: number[] = [];
  const load = await waitForLoad(2, {
    readLoad: readings(9, 5, 2.01, 1.5),
    intervalMs: 400,
    clock,
    onTooHigh: (load) => seen.push(load),
  });
  assertEquals(load, 1.5);
  assertEquals(seen, [9, 5, 2.01]);
  assertEquals(clock.sleeps, [400, 400, 400]);
});

Deno.test("the deadline ends the wait, with the load of that moment", async () => {
  const clock = fakeClock();
  const error = await assertRejects(
    () =>
      waitForLoad(2, {
        readLoad: readings(9, 8, 7, 6),
        timeoutMs: 2500,
        clock,
      }),
    LoadTimeoutError,
    "the 1-minute load was still 6.00 after 2500 ms, above 2",
  );
  assertEquals(clock.sleeps, [1000, 1000, 500]);
  assertEquals([error.load, error.maxLoad, error.waitedMs], [6, 2, 2500]);
});

Deno.test("the average over the minutes asked for counts", async () => {
  assertEquals(readLoadOver(1, readings(1)), 1);
  assertEquals(readLoadOver(5, readings(1)), 50);
  const error = await assertRejects(
    () => waitForLoad(60, { minutes: 15, readLoad: readings(1), timeoutMs: 0 }),
    LoadTimeoutError,
    "15-minute load is 70.00, above 60",
  );
  assert(error.waitedMs < 1);
  assertThrows(() => readLoadOver(15, () => [1, 2]), LockError, "15-minute");
});

Deno.test("the signal ends the wait, and nonsense is refused", async () => {
  const controller = new AbortController();
  const wait = waitForLoad(0, {
    readLoad: readings(9),
    signal: controller.signal,
  });
  controller.abort(new Error("enough"));
  await assertRejects(() => wait, Error, "enough");
  await assertRejects(() => waitForLoad(-1), RangeError, "maxLoad");
  await assertRejects(() => waitForLoad(NaN), RangeError, "maxLoad");
  await assertRejects(
    () => waitForLoad(1, { intervalMs: 0 }),
    RangeError,
    "intervalMs",
  );
});
