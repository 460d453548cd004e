import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { acquire, LockTimeoutError, tryAcquire, withLock } from "../../mod.ts";
import { holdFlock } from "../support/foreign_flock.ts";
import { openDescriptors } from "../support/open_descriptors.ts";
import { TempDir } from "../support/temp_dir.ts";

Deno.test("acquire takes a free lock and releases it at the end of the block", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  {
    using lock = await acquire(path);
    assert(lock.held);
    assertEquals(tryAcquire(path), undefined);
  }
  using again = tryAcquire(path);
  assert(again?.held);
});

Deno.test("acquire reports the holder by pid and command, then gets the lock", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  await using holder = await holdFlock(path);
  const error = await assertRejects(
    () => acquire(path, { timeoutMs: 20 }),
    LockTimeoutError,
  );
  assertEquals(error.path, path);
  assert(error.waitedMs >= 20);
  assertEquals(error.holders.map((h) => [h.pid, h.type, h.mode]), [
    [holder.pid, "FLOCK", "WRITE"],
  ]);
  assertStringIncludes(
    error.message,
    `pid=${holder.pid} cmd=sh -c echo ready; read -r _`,
  );
  let holders: number[] = [];
  using lock = await acquire(path, {
    timeoutMs: 20_000,
    onWait: async (info) => {
      holders = (await info.readHolders()).map(({ pid }) => pid!);
      await holder.finish();
    },
  });
  assert(lock.held);
  assertEquals(holders, [holder.pid]);
});

Deno.test("timeoutMs 0 tries once", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  await using _holder = await holdFlock(path);
  let waits = 0;
  await assertRejects(
    () => acquire(path, { timeoutMs: 0, onWait: () => waits++ }),
    LockTimeoutError,
    "is held by somebody else",
  );
  assertEquals(waits, 0);
});

Deno.test("an abort rejects with the signal's own reason", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  await using _holder = await holdFlock(path);
  const reason = { mine: true };
  const controller = new AbortController();
  const waiting = acquire(path, {
    signal: controller.signal,
    onWait: () => controller.abort(reason),
  });
  assertEquals(await waiting.catch((error) => error), reason);
  assertEquals(
    await acquire(path, { signal: AbortSignal.abort(reason) })
      .catch((error) => error),
    reason,
  );
});

Deno.test("a wait that ends without the lock leaves nothing behind", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  await using _holder = await holdFlock(path);
  await acquire(path, { timeoutMs: 5 }).catch(() => {});
  const before = openDescriptors();
  await acquire(path, { timeoutMs: 5 }).catch(() => {});
  const controller = new AbortController();
  await acquire(path, {
    signal: controller.signal,
    onWait: () => controller.abort(),
  }).catch(() => {});
  assertEquals(openDescriptors(), before);
});

Deno.test("a bad timeout is a RangeError", async () => {
  for (const timeoutMs of [-1, NaN]) {
    await assertRejects(() => acquire("/nowhere", { timeoutMs }), RangeError);
  }
});

Deno.test("createParents makes the directories", async () => {
  using dir = new TempDir();
  using lock = await acquire(dir.join("a/b/c.lock"), { createParents: true });
  assert(lock.held);
});

Deno.test("withLock releases when the function throws", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  await assertRejects(
    () =>
      withLock(path, {}, () => {
        assertEquals(tryAcquire(path), undefined);
        throw new Error("mine");
      }),
    Error,
    "mine",
  );
  using lock = tryAcquire(path);
  assert(lock?.held);
});
