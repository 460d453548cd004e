/** Locks in a real etcd. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  acquireClusterLock,
  type ClusterLock,
  ClusterLockTimeoutError,
  type ClusterWaitInfo,
  LeaseLostError,
  listClusterLocks,
  readClusterLock,
  tryClusterLock,
  withClusterLock,
} from "../../lib/cluster/mod.ts";
import { ETCD, etcdctlEnv, EtcdServer } from "../support/etcd.ts";
import { HelperProcess } from "../support/helper_process.ts";
import { openDescriptors } from "../support/open_descriptors.ts";
import { until } from "../support/until.ts";

function etcdTest(
  name: string,
  fn: (server: EtcdServer) => Promise<void>,
): void {
  Deno.test({
    name: `etcd: ${name}${ETCD.suffix}`,
    ignore: ETCD.ignore,
    fn: async () => {
      await using server = await EtcdServer.start();
      await fn(server);
    },
  });
}

/** `etcdctl lock NAME`, which prints its key once it has the lock. */
function etcdctlLock(server: EtcdServer, ...args: string[]): HelperProcess {
  return HelperProcess.spawn("etcdctl", ["lock", "--", ...args], {
    env: etcdctlEnv([server.endpoint]),
  });
}

async function untilWaiters(url: string, count: number): Promise<void> {
  await until(async () => {
    const { holders, waiters } = await readClusterLock(url);
    return holders.length === 1 && waiters.length === count;
  });
}

async function leasesAndKeys(server: EtcdServer): Promise<string> {
  const leases = await server.ctl("lease", "list");
  const keys = await server.ctl("get", "--prefix", "", "--keys-only");
  return `${leases.trim()}; ${keys.trim()}`;
}

etcdTest(
  "a lock is taken and released, and nothing is left",
  async (server) => {
    const before = openDescriptors({ withSockets: true });
    const url = server.url("deploy");
    {
      await using lock = await acquireClusterLock(url);
      assert(/^deploy\/[0-9a-f]+$/.test(lock.key), lock.key);
      assertEquals(
        [lock.path, lock.name, lock.held, lock.slot, lock.lost.aborted],
        [url, "deploy", true, undefined, false],
      );
      const { holders: [holder], waiters } = await readClusterLock(url);
      assertEquals(waiters, []);
      assertEquals(
        [holder?.pid, holder?.host, holder?.program, holder?.key],
        [Deno.pid, Deno.hostname(), "holdfast", lock.key],
      );
      await lock.release();
      assertEquals(lock.held, false);
      assertEquals(lock.lost.aborted, false);
    }
    assertEquals(await leasesAndKeys(server), "found 0 leases; ");
    assertEquals(openDescriptors({ withSockets: true }), before);
  },
);

etcdTest(
  "a busy lock is a value, and the attempt leaves nothing",
  async (server) => {
    const url = server.url("deploy");
    await using held = await acquireClusterLock(url);
    const before = await leasesAndKeys(server);
    assertEquals(await tryClusterLock(url), undefined);
    const error = await assertRejects(
      () => acquireClusterLock(url, { timeoutMs: 50 }),
      ClusterLockTimeoutError,
      `pid ${Deno.pid}`,
    );
    assertEquals(error.path, url);
    assert(error.waitedMs >= 50);
    assertEquals(await leasesAndKeys(server), before);
    assert(held.held);
  },
);

etcdTest("an abort ends the wait with its own reason", async (server) => {
  const url = server.url("deploy");
  await using _held = await acquireClusterLock(url);
  const abort = new AbortController();
  const reason = new Error("changed my mind");
  await assertRejects(
    () =>
      acquireClusterLock(url, {
        signal: abort.signal,
        onWait: () => abort.abort(reason),
      }),
    Error,
    "changed my mind",
  );
  await untilWaiters(url, 0);
});

etcdTest(
  "withClusterLock releases when the function throws",
  async (server) => {
    const url = server.url("deploy");
    await assertRejects(
      () =>
        withClusterLock(url, (lock) => {
          assert(lock.held);
          throw new Error("no");
        }),
      Error,
      "no",
    );
    await using lock = await tryClusterLock(url);
    assert(lock !== undefined);
  },
);

etcdTest(
  "etcdctl and we stand in one queue, in the order of arrival, and fences rise",
  async (server) => {
    const url = server.url("deploy");
    const order: [string, bigint][] = [];
    const first = await acquireClusterLock(url);
    order.push(["ours 0", first.fence]);
    await using second = etcdctlLock(
      server,
      "deploy",
      "sh",
      "-c",
      "echo $ETCD_LOCK_REV",
    );
    await untilWaiters(url, 1);
    const waits: ClusterWaitInfo[] = [];
    const third = acquireClusterLock(url, {
      onWait: (info) => waits.push(info),
    });
    await untilWaiters(url, 2);
    await using fourth = etcdctlLock(
      server,
      "deploy",
      "sh",
      "-c",
      "echo $ETCD_LOCK_REV",
    );
    await untilWaiters(url, 3);
    const fifth = acquireClusterLock(url);
    await untilWaiters(url, 4);
    assertEquals(
      (await readClusterLock(url)).waiters.map(({ program }) => program),
      ["etcdctl", "holdfast", "etcdctl", "holdfast"],
    );
    assertEquals(waits[0]?.position, 2);
    assertEquals(
      waits[0]?.ahead.map(({ program, pid }) => [program, pid]),
      [["holdfast", Deno.pid], ["etcdctl", null]],
    );
    await first.release();
    order.push(["etcdctl 1", BigInt(await second.nextLine() ?? 0)]);
    const lock = await third;
    order.push(["ours 2", lock.fence]);
    await lock.release();
    order.push(["etcdctl 3", BigInt(await fourth.nextLine() ?? 0)]);
    const last = await fifth;
    order.push(["ours 4", last.fence]);
    await last.release();
    const fences = order.map(([, fence]) => fence);
    assertEquals(
      fences.every((fence, index) =>
        index === 0 ? fence > 0n : fence > fences[index - 1]!
      ),
      true,
      Deno.inspect(order),
    );
  },
);

etcdTest(
  "what etcdctl holds is busy for us, and shown with its lease",
  async (server) => {
    const url = server.url("deploy");
    await using holder = etcdctlLock(server, "deploy");
    const key = await holder.nextLine();
    assertEquals(await tryClusterLock(url), undefined);
    const { holders } = await readClusterLock(url);
    assertEquals(holders.map((party) => [party.program, party.key]), [[
      "etcdctl",
      key!,
    ]]);
    assertEquals(holders[0]?.session, `lease ${key!.split("/").at(-1)}`);
    const waiter = acquireClusterLock(url);
    await untilWaiters(url, 1);
    holder.kill("SIGINT");
    await using lock = await waiter;
    assert(lock.held);
  },
);

etcdTest(
  "a revoked lease is a lost lock, at once and for good",
  async (server) => {
    const events: string[] = [];
    const lock = await acquireClusterLock(server.url("deploy"), {
      onEvent: ({ type }) => events.push(type),
    });
    const lost = new Promise((resolve) =>
      lock.lost.addEventListener("abort", resolve)
    );
    await server.ctl("lease", "revoke", lock.key.split("/").at(-1)!);
    await lost;
    assert(lock.lost.reason instanceof LeaseLostError);
    assertEquals(lock.held, false);
    assertEquals(events.at(-1), "lost");
    await lock.release();
    await using next = await tryClusterLock(server.url("deploy"));
    assert(next !== undefined);
  },
);

etcdTest("a waiter whose lease is revoked queues anew", async (server) => {
  const url = server.url("deploy");
  const held = await acquireClusterLock(url);
  const waiter = acquireClusterLock(url);
  await untilWaiters(url, 1);
  const [first] = (await readClusterLock(url)).waiters;
  await server.ctl("lease", "revoke", first!.key.split("/").at(-1)!);
  await until(async () => {
    const [second] = (await readClusterLock(url)).waiters;
    return second !== undefined && second.key !== first!.key;
  });
  await held.release();
  await using lock = await waiter;
  assert(lock.held);
});

etcdTest(
  "a waiter whose key is deleted with the holder's queues anew",
  async (server) => {
    const url = server.url("deploy");
    const held = await acquireClusterLock(url);
    const waiter = acquireClusterLock(url);
    await untilWaiters(url, 1);
    const [first] = (await readClusterLock(url)).waiters;
    await server.ctl("del", "--prefix", "deploy/");
    await using lock = await waiter;
    assert(lock.held && lock.key !== first!.key);
    assert(lock.fence > held.fence);
    await until(() => held.lost.aborted);
    await held.release();
    assert(lock.held);
  },
);

etcdTest(
  "a lease is renewed while it is held and while it is waited for",
  async (server) => {
    const url = server.url("deploy");
    const renewals = Promise.withResolvers<void>();
    let count = 0;
    const held = await acquireClusterLock(url, {
      ttlMs: 3000,
      onEvent: ({ type }) => {
        assertEquals(type, "renewed");
        // Beyond the TTL, whatever the machine has to do.
        if (++count === 8) renewals.resolve();
      },
    });
    const waiter = acquireClusterLock(url, { ttlMs: 3000 });
    await untilWaiters(url, 1);
    const [{ key } = { key: "" }] = (await readClusterLock(url)).waiters;
    await renewals.promise;
    assert(held.held);
    assertEquals((await readClusterLock(url)).waiters[0]?.key, key);
    await held.release();
    await (await waiter).release();
  },
);

etcdTest(
  "the server is killed and comes back: the lock is kept, the waiter goes on",
  async (server) => {
    const url = server.url("deploy");
    const held = await acquireClusterLock(url, { ttlMs: 30_000 });
    const waiter = acquireClusterLock(url, { ttlMs: 30_000 });
    await untilWaiters(url, 1);
    const [{ key } = { key: "" }] = (await readClusterLock(url)).waiters;
    await server.kill();
    await server.up();
    assert(held.held);
    await untilWaiters(url, 1);
    assertEquals((await readClusterLock(url)).waiters[0]?.key, key);
    await held.release();
    await using lock = await waiter;
    assertEquals(lock.key, key);
    assert(lock.fence > held.fence);
  },
);

etcdTest(
  "a lock whose name begins like another's is another lock",
  async (server) => {
    await using inner = await acquireClusterLock(server.url("team/deploy"));
    await using outer = await tryClusterLock(server.url("team"));
    assert(inner.held && outer?.held);
    const waiter = acquireClusterLock(server.url("team"));
    await untilWaiters(server.url("team"), 1);
    await using later = await acquireClusterLock(server.url("team/later"));
    await outer.release();
    await using next = await waiter;
    assert(next.held && later.held);
    assertEquals(
      (await listClusterLocks(server.url(""))).map(({ name }) => name),
      ["team", "team/deploy", "team/later"],
    );
    assertEquals(
      (await listClusterLocks(server.url("team/"))).map(({ name, url }) => [
        name,
        url,
      ]),
      [
        ["team/deploy", server.url("team/deploy")],
        ["team/later", server.url("team/later")],
      ],
    );
  },
);

etcdTest("keys that are no locks are not taken for any", async (server) => {
  await server.ctl("put", "deploy/config", "{}");
  await server.ctl("put", "deploy/00ff", "not a lease of its own");
  await using lock = await tryClusterLock(server.url("deploy"));
  assert(lock?.held);
  assertEquals(
    (await listClusterLocks(server.url(""))).map(({ name, holders }) => [
      name,
      holders.length,
    ]),
    [["deploy", 1]],
  );
});

etcdTest(
  "slots: as many as there are, each with its own number, and fences rise",
  async (server) => {
    const url = server.url("gpu");
    const take = () => acquireClusterLock(url, { slots: 2 });
    const [first, second] = [await take(), await take()];
    assertEquals([first.slot, second.slot], [0, 1]);
    assertEquals(await tryClusterLock(url, { slots: 2 }), undefined);
    const third = take();
    const fourth = take();
    await until(async () => (await readClusterLock(url)).waiters.length === 2);
    await second.release();
    const next = await Promise.race([third, fourth]);
    assertEquals(next.slot, 1);
    assert(second.fence > first.fence && next.fence > second.fence);
    assertEquals((await readClusterLock(url)).holders.length, 2);
    await Promise.all([first.release(), next.release()]);
    const rest = await Promise.all([third, fourth]);
    await Promise.all(rest.map((lock: ClusterLock) => lock.release()));
    assertEquals(await leasesAndKeys(server), "found 0 leases; ");
  },
);

etcdTest(
  "names are taken as they are: spaces, slashes, escapes, letters of all kinds",
  async (server) => {
    for (const name of ["a b", "/abs/olute", "ünï", "%", "a\\b", "x.slot.0"]) {
      const url = server.url(encodeURIComponent(name));
      await using lock = await acquireClusterLock(url);
      assertEquals(lock.name, name);
      assert(lock.key.startsWith(`${name}/`));
      const [found] = await listClusterLocks(server.url(""));
      assertEquals(found?.name, name);
      assertEquals((await readClusterLock(found!.url)).holders.length, 1);
    }
  },
);
