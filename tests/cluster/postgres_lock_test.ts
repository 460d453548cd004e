/** Advisory locks on a real server: who is kept out, and for how long. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import type {
  ClusterEngine,
  ClusterLock,
  ClusterWaitInfo,
} from "../../lib/cluster/engine.ts";
import { openEngine } from "../../lib/cluster/postgres/mod.ts";
import { lockKey } from "../../lib/cluster/postgres/lock_label.ts";
import { parseClusterUrl } from "../../lib/cluster/url.ts";
import {
  holdInProcess,
  spawnClusterHolder,
} from "../support/cluster_holder.ts";
import { HelperProcess } from "../support/helper_process.ts";
import {
  needsPostgres,
  PostgresTestServer,
} from "../support/postgres_server.ts";

const { ignore, suffix } = needsPostgres();
/** The shortest there is: a server that has just started is waited for. */
const TTL = { ttlMs: 3000 };

/** One server for the tests of this file, started by the first of them. */
let started: Promise<PostgresTestServer> | undefined;

function postgresTest(
  name: string,
  body: (server: PostgresTestServer, engine: ClusterEngine) => Promise<void>,
): void {
  Deno.test({
    name: name + suffix,
    ignore,
    async fn() {
      const server = await (started ??= PostgresTestServer.start());
      await using engine = openEngine(parseClusterUrl(server.url()));
      await body(server, engine);
    },
  });
}

Deno.test.afterAll(async () => {
  await (await started)?.[Symbol.asyncDispose]();
});

async function take(
  engine: ClusterEngine,
  name: string,
  request = {},
): Promise<ClusterLock> {
  const lock = await engine.acquire(name, { ...TTL, ...request });
  assert(lock !== undefined, `${name} was busy`);
  return lock;
}

postgresTest(
  "an exclusive lock keeps out everybody, and its release lets in",
  async (_, engine) => {
    const lock = await take(engine, "one");
    assertEquals(
      await engine.acquire("one", { ...TTL, timeoutMs: 0 }),
      undefined,
    );
    const other = { ...TTL, timeoutMs: 0, mode: "shared" as const };
    assertEquals(await engine.acquire("one", other), undefined);
    assertEquals([lock.held, lock.lost.aborted], [true, false]);
    await lock.release();
    assertEquals([lock.held, lock.lost.aborted], [false, false]);
    await using next = await take(engine, "one", { timeoutMs: 0 });
    assert(next.fence > lock.fence);
  },
);

postgresTest(
  "shared locks are held together and keep out an exclusive one",
  async (_, engine) => {
    const shared = { mode: "shared", timeoutMs: 0 };
    await using first = await take(engine, "many", shared);
    await using second = await take(engine, "many", shared);
    assert(second.fence > first.fence);
    assertEquals(
      await engine.acquire("many", { ...TTL, timeoutMs: 0 }),
      undefined,
    );
  },
);

postgresTest(
  "locks of other names and other databases are free",
  async (server, engine) => {
    await server.sql("create database elsewhere");
    await using _held = await take(engine, "name");
    await using _other = await take(engine, "name 2", { timeoutMs: 0 });
    const url = server.url().replace("/postgres", "/elsewhere");
    await using elsewhere = openEngine(parseClusterUrl(url));
    await using _there = await take(elsewhere, "name", { timeoutMs: 0 });
  },
);

postgresTest(
  "psql takes the same lock by the key that the holder is told",
  async (server, engine) => {
    const lock = await take(engine, "psql");
    assertEquals(lock.key, `${await lockKey("psql")}`);
    assertEquals(
      lock.key,
      await server.sql(
        "select ('x' || left(encode(sha256('psql'), 'hex'), 16))::bit(64)::int8",
      ),
    );
    assertEquals(
      await server.sql(`select pg_try_advisory_lock(${lock.key})`),
      "f",
    );
    await lock.release();
    assertEquals(
      await server.sql(`select pg_try_advisory_lock(${lock.key})`),
      "t",
    );
  },
);

postgresTest(
  "a wait ends at its deadline and leaves the queue",
  async (_, engine) => {
    await using _held = await take(engine, "deadline");
    assertEquals(
      await engine.acquire("deadline", { ...TTL, timeoutMs: 200 }),
      undefined,
    );
    const { holders, waiters } = await engine.status("deadline");
    assertEquals([holders.length, waiters.length], [1, 0]);
  },
);

postgresTest(
  "a wait ends when its signal aborts, and leaves the queue",
  async (_, engine) => {
    await using _held = await take(engine, "abort");
    const abort = new AbortController();
    const reason = new Error("no longer wanted");
    const wait = engine.acquire("abort", {
      ...TTL,
      signal: abort.signal,
      onWait: () => abort.abort(reason),
    });
    assertEquals(await assertRejects(() => wait), reason);
    assertEquals((await engine.status("abort")).waiters, []);
  },
);

postgresTest(
  "a release wakes the next one, in the order of the queue",
  async (_, engine) => {
    const held = await take(engine, "queue");
    const order: number[] = [];
    const waits: Promise<void>[] = [];
    for (const number of [1, 2, 3]) {
      await new Promise<void>((isWaiting) => {
        const request = { onWait: () => isWaiting() };
        waits.push(
          take(engine, "queue", request).then(async (lock) => {
            order.push(number);
            await lock.release();
          }),
        );
      });
    }
    await held.release();
    await Promise.all(waits);
    assertEquals(order, [1, 2, 3]);
  },
);

postgresTest(
  "a waiter is told its place and who is before it",
  async (_, engine) => {
    const held = await take(engine, "place", { message: "the holder" });
    const told: ClusterWaitInfo[] = [];
    let second: Promise<ClusterLock> | undefined;
    const first = take(engine, "place", {
      message: "the first",
      onWait: () => {
        second ??= take(engine, "place", {
          onWait: async (info: ClusterWaitInfo) => {
            told.push(info);
            await held.release();
          },
        });
      },
    });
    await (await first).release();
    await (await second!).release();
    assertEquals(told[0]!.position, 2);
    assertEquals(told[0]!.ahead.map(({ command }) => command), [
      "the holder",
      "the first",
    ]);
  },
);

postgresTest(
  "slots: as many hold it as there are, each with a number",
  async (_, engine) => {
    const request = { slots: 2, timeoutMs: 0 };
    await using first = await take(engine, "slots", request);
    const second = await take(engine, "slots", request);
    assertEquals([first.slot, second.slot], [0, 1]);
    assertEquals(
      await engine.acquire("slots", { ...TTL, ...request }),
      undefined,
    );
    assertEquals(
      await engine.acquire("slots", { ...TTL, timeoutMs: 0 }),
      undefined,
    );
    let third: ClusterLock | undefined;
    await new Promise<void>((isDone) => {
      void take(engine, "slots", {
        slots: 2,
        onWait: () => second.release(),
      }).then((lock) => {
        third = lock;
        isDone();
      });
    });
    assertEquals(third!.slot, 1);
    assert(third!.fence > second.fence);
    const { holders, waiters } = await engine.status("slots");
    assertEquals([holders.length, waiters.length], [2, 0]);
    await third!.release();
  },
);

postgresTest(
  "a slot of a killed holder is given to the next",
  async (server, engine) => {
    const request = { slots: 2 };
    await using _held = await take(engine, "dead slot", request);
    await using holder = await holdInProcess(server.url("dead slot"), {
      ...TTL,
      ...request,
    });
    await using next = await take(engine, "dead slot", {
      ...request,
      onWait: () => holder.kill("SIGKILL"),
    });
    assertEquals(next.slot, 1);
  },
);

postgresTest(
  "slots are given out in the order of the queue",
  async (_, engine) => {
    const held = await take(engine, "slot queue", { slots: 2 });
    await using _other = await take(engine, "slot queue", { slots: 2 });
    const order: number[] = [];
    const waits: Promise<void>[] = [];
    for (const number of [1, 2, 3]) {
      await new Promise<void>((isWaiting) => {
        const request = { slots: 2, onWait: () => isWaiting() };
        waits.push(
          take(engine, "slot queue", request).then(async (lock) => {
            order.push(number);
            await lock.release();
          }),
        );
      });
    }
    const { holders, waiters } = await engine.status("slot queue");
    assertEquals([holders.length, waiters.length], [2, 3]);
    await held.release();
    await Promise.all(waits);
    assertEquals(order, [1, 2, 3]);
  },
);

postgresTest(
  "a role that may see nothing learns who holds and who waits",
  async (server, engine) => {
    const name = "Ärger mit 'Namen' ~";
    await using _held = await take(engine, name);
    await using waiter = spawnClusterHolder(server.url(name), TTL);
    assertEquals(await waiter.nextLine(), "waiting 1");
    await using stranger = openEngine(parseClusterUrl(server.url("", "other")));
    const { holders, waiters } = await stranger.status(name);
    const parties = [...holders, ...waiters].map((
      { program, host, pid, command },
    ) => ({
      program,
      hasHost: host !== "",
      pid,
      command,
    }));
    assertEquals(parties, [
      { program: "holdfast", hasHost: true, pid: Deno.pid, command: null },
      { program: "holdfast", hasHost: true, pid: waiter.pid, command: null },
    ]);
    const list = await stranger.list("Är");
    assertEquals(list.map((status) => status.name), [name]);
    assertEquals(await stranger.list("Z"), []);
    // One's own sessions show all.
    const own = await engine.status(name);
    assert(own.holders[0]!.command !== null && own.holders[0]!.since !== null);
  },
);

postgresTest(
  "a name too long for the label is known to its own role only",
  async (server, engine) => {
    const name = "long/".repeat(30);
    await using lock = await take(engine, name);
    assertEquals((await engine.list("long/")).map((l) => l.name), [name]);
    await using stranger = openEngine(parseClusterUrl(server.url("", "other")));
    assertEquals((await stranger.list("")).map((l) => l.name), [
      `key ${lock.key}`,
    ]);
    assertEquals((await stranger.status(name)).holders.length, 1);
  },
);

postgresTest(
  "a holder that is another program is named by its program",
  async (server, engine) => {
    const key = await lockKey("foreign");
    await using _psql = await HelperProcess.start(server.program("psql"), [
      ...server.psqlArguments("app"),
      `--command=select pg_advisory_lock(${key})::text || 'ready'`,
      "--command=\\! read -r _",
    ]);
    const { holders } = await engine.status("foreign");
    assertEquals(holders.map(({ program, host }) => [program, host]), [[
      "psql",
      null,
    ]]);
    assertEquals(await engine.list("foreign"), []);
  },
);

postgresTest(
  "what can't be asked for is refused before anything is sent",
  async (_, engine) => {
    await assertRejects(() => engine.acquire("", {}), TypeError);
    await assertRejects(() => engine.acquire("x", { slots: 0 }), RangeError);
    await assertRejects(
      () => engine.acquire("x", { timeoutMs: -1 }),
      RangeError,
    );
    await assertRejects(
      () => engine.acquire("x", { slots: 2, mode: "shared" }),
      TypeError,
    );
  },
);
