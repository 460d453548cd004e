/** What becomes of advisory locks when something dies, freezes or is cut off. */
import { assert, assertEquals } from "@std/assert";
import type { ClusterEngine, ClusterLock } from "../../lib/cluster/engine.ts";
import { openEngine } from "../../lib/cluster/postgres/mod.ts";
import { lockKey } from "../../lib/cluster/postgres/lock_label.ts";
import { parseClusterUrl } from "../../lib/cluster/url.ts";
import {
  holdInProcess,
  spawnClusterHolder,
} from "../support/cluster_holder.ts";
import {
  needsPostgres,
  PostgresTestServer,
} from "../support/postgres_server.ts";
import { TcpProxy } from "../support/tcp_proxy.ts";
import { until } from "../support/until.ts";

const { ignore, suffix } = needsPostgres();
const TTL = { ttlMs: 3000 };

/** One server for the tests of this file, started by the first of them. */
let started: Promise<PostgresTestServer> | undefined;

function faultTest(
  name: string,
  body: (server: PostgresTestServer, engine: ClusterEngine) => Promise<void>,
): void {
  Deno.test({
    name: name + suffix,
    ignore,
    async fn() {
      const server = await (started ??= PostgresTestServer.start({
        // What nobody waits for isn't written soon.
        settings: ["wal_writer_delay = 10s"],
      }));
      await using engine = openEngine(parseClusterUrl(server.url()));
      await body(server, engine);
    },
  });
}

Deno.test.afterAll(async () => {
  await (await started)?.[Symbol.asyncDispose]();
});

async function take(engine: ClusterEngine, request = {}): Promise<ClusterLock> {
  const lock = await engine.acquire("x", { ...TTL, ...request });
  assert(lock !== undefined, "it was busy");
  return lock;
}

/** When it is lost, and why. */
function loss(lock: ClusterLock): Promise<{ at: number; reason: string }> {
  return new Promise((resolve) => {
    const tell = () =>
      resolve({ at: performance.now(), reason: lock.lost.reason.message });
    if (lock.lost.aborted) tell();
    else lock.lost.addEventListener("abort", tell);
  });
}

/** The server process that holds the lock. */
async function holdingBackend(engine: ClusterEngine): Promise<string> {
  const { holders } = await engine.status("x");
  return holders[0]!.session.replace("backend ", "");
}

faultTest(
  "a holder killed by -9 leaves the lock to the next",
  async (server, engine) => {
    await using holder = await holdInProcess(server.url("x"), TTL);
    await using next = await take(engine, {
      onWait: () => holder.kill("SIGKILL"),
    });
    assert(next.fence > holder.fence);
  },
);

faultTest(
  "a frozen holder loses the lock to the next, and learns it when it wakes",
  async (server, engine) => {
    await using holder = await holdInProcess(server.url("x"), TTL);
    await using next = await take(engine, {
      onWait: () => holder.kill("SIGSTOP"),
    });
    assert(next.fence > holder.fence);
    holder.kill("SIGCONT");
    assert(
      (await holder.nextLine())?.startsWith('lost Lost the lock "postgres:'),
    );
  },
);

faultTest(
  "a holder cut off from the server knows of its loss before the next has the lock",
  async (server, engine) => {
    await using proxy = new TcpProxy(server.port);
    const url = server.url().replace(`${server.port}`, `${proxy.port}`);
    await using cutOff = openEngine(parseClusterUrl(url));
    const lock = await take(cutOff);
    const lost = loss(lock);
    await using next = await take(engine, { onWait: () => proxy.cut() });
    const heldAt = performance.now();
    assert((await lost).at < heldAt, "the next had it first");
    assert(next.fence > lock.fence);
    await lock.release();
  },
);

const restarts: Record<
  string,
  (server: PostgresTestServer, engine: ClusterEngine) => Promise<void>
> = {
  "is restarted": (server) => server.restart("fast"),
  "crashes": (server) => server.restart("immediate"),
  "ends all sessions after the crash of one": async (server, engine) =>
    await server.kill(await holdingBackend(engine)),
};

for (const [what, restart] of Object.entries(restarts)) {
  faultTest(
    `a server that ${what} forgets a cut-off holder, which is waited for`,
    async (server, engine) => {
      await using proxy = new TcpProxy(server.port);
      const url = server.url().replace(`${server.port}`, `${proxy.port}`);
      await using cutOff = openEngine(parseClusterUrl(url));
      const lock = await take(cutOff);
      const lost = loss(lock);
      proxy.cut();
      await restart(server, engine);
      // It is free already for those who don't know better.
      const key = await lockKey("x");
      assertEquals(
        await sqlWhenBack(server, `select pg_try_advisory_lock(${key})`),
        "t",
      );
      assertEquals(
        await engine.acquire("x", { ...TTL, timeoutMs: 0 }),
        undefined,
      );
      assert(lock.held, "it knows nothing yet");
      await using next = await take(engine);
      const heldAt = performance.now();
      assert((await lost).at < heldAt, "the next had it first");
      assert(next.fence > lock.fence);
      await lock.release();
    },
  );
}

/** A server that ends all sessions takes a moment to recover. */
async function sqlWhenBack(
  server: PostgresTestServer,
  statement: string,
): Promise<string> {
  for (;;) {
    try {
      return await server.sql(statement);
    } catch (error) {
      if (!/recovery|starting up|closed the connection/.test(`${error}`)) {
        throw error;
      }
    }
  }
}

faultTest(
  "fences rise across crashes of the server",
  async (server, engine) => {
    const fences: bigint[] = [];
    for (let crash = 0; crash < 3; crash++) {
      // Once the wait for forgotten holders is over, a lock is held at once,
      // and the crash comes before anything is written by the way.
      await (await take(engine)).release();
      const lock = await take(engine);
      fences.push(lock.fence);
      const lost = loss(lock);
      await server.restart("immediate");
      await lost;
      await lock.release();
    }
    assertEquals(fences, [...new Set(fences)].sort((a, b) => a < b ? -1 : 1));
  },
);

faultTest(
  "a waiter goes on waiting after a restart of the server",
  async (server, engine) => {
    const lock = await take(engine);
    let restarting: Promise<void> | undefined;
    await using next = await take(engine, {
      onWait: () => restarting ??= server.restart("immediate"),
    });
    await restarting;
    assert(lock.lost.aborted);
    assert(next.fence > lock.fence);
    await lock.release();
  },
);

faultTest(
  "a holder whose session is ended at the server is told at once, and why",
  async (server, engine) => {
    const events: string[] = [];
    const lock = await take(engine, {
      onEvent: ({ type }: { type: string }) => events.push(type),
    });
    const lost = loss(lock);
    const pid = await holdingBackend(engine);
    await server.sql(`select pg_terminate_backend(${pid})`);
    const { reason } = await lost;
    assert(
      reason.includes("terminating connection due to administrator command"),
      reason,
    );
    assertEquals([lock.held, events.at(-1)], [false, "lost"]);
    await lock.release();
  },
);

faultTest(
  "a waiter whose session is ended at the server takes its place again",
  async (server, engine) => {
    const lock = await take(engine);
    let ended: Promise<unknown> | undefined;
    const wait = take(engine, {
      onWait: () => {
        ended ??= engine.status("x").then(({ waiters }) => {
          const pid = waiters[0]!.session.replace("backend ", "");
          return server.sql(`select pg_terminate_backend(${pid})`);
        }).then(() => lock.release());
      },
    });
    await using _next = await wait;
    await ended;
  },
);

faultTest(
  "waiters don't keep CREATE INDEX CONCURRENTLY from its end",
  async (server, engine) => {
    await server.sql("create table t (a int)");
    const lock = await take(engine);
    const abort = new AbortController();
    let waiting: Promise<unknown> | undefined;
    await new Promise<void>((isWaiting) => {
      waiting = engine.acquire("x", {
        ...TTL,
        signal: abort.signal,
        onWait: () => isWaiting(),
      }).catch(() => {});
    });
    // It would wait for the waiter, which waits for the holder, which waits for it.
    await server.sql("create index concurrently on t (a)");
    assertEquals((await engine.status("x")).waiters.length <= 1, true);
    abort.abort();
    await waiting;
    await lock.release();
  },
);

faultTest(
  "the server drops a waiter whose process was killed",
  async (server, engine) => {
    const lock = await take(engine);
    await using waiter = spawnClusterHolder(server.url("x"), TTL);
    assertEquals(await waiter.nextLine(), "waiting 1");
    waiter.kill("SIGKILL");
    await waiter.status;
    await until(async () => (await engine.status("x")).waiters.length === 0);
    await lock.release();
  },
);
