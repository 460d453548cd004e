import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { LinkLockTimeoutError } from "../../lib/acquire/link_lock.ts";
import { ClusterLockTimeoutError } from "../../lib/cluster/errors.ts";
import { CpuTimeoutError } from "../../lib/patterns/cpu_reservation.ts";
import { LoadTimeoutError } from "../../lib/patterns/load_gate.ts";
import { SlotTimeoutError } from "../../lib/patterns/slots.ts";
import { attemptUntil } from "../../lib/wait/attempt_loop.ts";
import { busyLockFile } from "../../lib/wait/busy_lock_file.ts";
import { LockTimeoutError } from "../../lib/wait/lock_timeout_error.ts";
import { pollingWake } from "../../lib/wait/wake.ts";

Deno.test("one attempt is no wait, however long it takes", async () => {
  let now = 0;
  const clock = { now: () => now, sleep: () => Promise.resolve() };
  const { value, waitedMs } = await attemptUntil(() => {
    now += 500;
    return undefined;
  }, { timeoutMs: 0, clock, wake: () => pollingWake(clock) });
  assertEquals([value, waitedMs], [undefined, 0]);
});

Deno.test("what is said of a busy lock depends on whether it was to be waited for", () => {
  const errors = (waitedMs: number) => [
    busyLockFile("/x", waitedMs, []),
    new LinkLockTimeoutError("/x", waitedMs, undefined),
    new ClusterLockTimeoutError("etcd://h/x", waitedMs, []),
    new SlotTimeoutError("/x", 1, waitedMs, [], ""),
    new LoadTimeoutError(1, 2, 1, waitedMs),
    new CpuTimeoutError("/cpu", waitedMs, [], []),
  ];
  for (const error of errors(7)) {
    assert(error instanceof LockTimeoutError);
    assertEquals([error.name, error.waitedMs], [error.constructor.name, 7]);
  }
  for (const { message } of errors(0)) {
    assert(!/after|still/.test(message), message);
  }
  for (const { message } of errors(0.2)) {
    assertStringIncludes(message, "after 1 ms");
  }
});
