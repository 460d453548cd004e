/** The words for files, with the URL of a lock in an engine. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { acquire, tryAcquire, withLock } from "../../mod.ts";
import { acquireAll } from "../../lib/patterns/mod.ts";
import { ClusterUnreachableError } from "../../lib/cluster/mod.ts";
import { ETCD, EtcdServer } from "../support/etcd.ts";
import { freePort } from "../support/free_port.ts";
import { TempDir } from "../support/temp_dir.ts";
import { until } from "../support/until.ts";

Deno.test({
  name: `acquire and withLock take a URL where they take a path${ETCD.suffix}`,
  ignore: ETCD.ignore,
  fn: async () => {
    await using server = await EtcdServer.start();
    const url = server.url("deploy") as `etcd://${string}`;
    {
      await using lock = await acquire(url, { timeoutMs: 5000 });
      assert(lock.held && lock.fence > 0n);
      await assertRejects(
        () => acquire(url, { timeoutMs: 0 }),
        Error,
        "is held by somebody else",
      );
    }
    assertEquals(await withLock(url, ({ path }) => path), url);
    {
      // A program that doesn't know whether its path is a URL.
      await using lock = await acquire(url as string);
      assert(lock.held);
      assert(!(Symbol.dispose in lock), "only `await using` waits for it");
    }
    await until(async () =>
      (await server.ctl("get", "--prefix", "deploy/")) === ""
    );
  },
});

Deno.test("acquire with a URL fails like the cluster's own words", async () => {
  await assertRejects(
    () => acquire(`etcd://127.0.0.1:${freePort()}/x`),
    ClusterUnreachableError,
  );
  await assertRejects(() => acquire("etcd://h/"), TypeError, "needs a name");
  await assertRejects(
    () => acquire("etcd://h/x", { mode: "shared" }),
    TypeError,
    "can't be shared",
  );
});

Deno.test("tryAcquire, which can't wait for an answer, refuses a URL", () => {
  assertThrows(() => tryAcquire("etcd://h/x"), TypeError, "await acquire");
});

Deno.test({
  name: `acquireAll takes files and URLs, all or none${ETCD.suffix}`,
  ignore: ETCD.ignore,
  fn: async () => {
    await using server = await EtcdServer.start();
    using dir = new TempDir();
    const file = dir.join("a.lock");
    const [a, b] = ["a", "b"].map((name) =>
      server.url(name) as `etcd://${string}`
    );
    {
      await using locks = await acquireAll([b!, file, { path: a! }], {
        timeoutMs: 5000,
      });
      assertEquals(locks.members.map(({ path }) => path), [b, file, a]);
      assert(locks.held && !locks.lost.aborted);
      assertEquals(tryAcquire(file), undefined);
      // Another list of members, and none is left taken when one is busy.
      const other = dir.join("b.lock");
      await assertRejects(
        () => acquireAll([a!, other], { timeoutMs: 0 }),
        Error,
        "is held by somebody else",
      );
      const waits: string[] = [];
      await assertRejects(
        () =>
          acquireAll([other, b!, a!], {
            timeoutMs: 500,
            onWait: ({ path }) => waits.push(path),
          }),
        Error,
        "was still held",
      );
      assertEquals(waits, [a!]);
      using untaken = tryAcquire(other);
      assert(untaken?.held);
    }
    using released = tryAcquire(file);
    assert(released?.held);
    await using free = await acquire(a!, { timeoutMs: 0 });
    assert(free.held);
  },
});
