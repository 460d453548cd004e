/** The words for files, with the URL of a lock in an engine. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { acquire, tryAcquire, withLock } from "../../mod.ts";
import { ClusterUnreachableError } from "../../lib/cluster/mod.ts";
import { ETCD, EtcdServer } from "../support/etcd.ts";
import { freePort } from "../support/free_port.ts";
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
    assertEquals(await withLock(url, {}, ({ path }) => path), url);
    {
      // A program that doesn't know that its path is a URL.
      using lock = await acquire(url);
      assert(lock.held);
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
