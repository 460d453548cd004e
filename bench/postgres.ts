import postgres from "postgres";
import { openEngine } from "../lib/cluster/postgres/mod.ts";
import { lockKey } from "../lib/cluster/postgres/lock_label.ts";
import { parseClusterUrl } from "../lib/cluster/url.ts";
import {
  needsPostgres,
  PostgresTestServer,
} from "../tests/support/postgres_server.ts";
import {
  capture,
  Dialogue,
  median,
  pause,
  type Peers,
  type Report,
} from "./support.ts";

const NAME = "bench";
const TTL_MS = 3000;

/** One way to take an advisory lock. */
interface Way {
  readonly name: string;
  /** Connects, takes the lock, releases it and ends the connection. */
  round(): Promise<void>;
  /** Connects and waits; resolves with the wait once it is in the queue. */
  wait(): Promise<Wait>;
}

interface Wait {
  /** Resolves when it has the lock. */
  readonly got: Promise<unknown>;
  /** Gives it up. */
  end(): Promise<unknown>;
}

/** Benchmark 8: advisory locks of a PostgreSQL server on this host. */
export async function measurePostgres(peers: Peers): Promise<Report> {
  const { ignore, suffix } = needsPostgres();
  const report: Report = {
    title: "PostgreSQL: take, release and hand-over",
    method: "Advisory locks of a server on loopback, its data in memory: a " +
      "connection, the lock, its release and the end of the connection; and " +
      "the time from the release by another session to the moment that one " +
      "waiter has the lock. holdfast's has a fence by then, which is a commit " +
      "more, and its lease. psql's time is that until its line of output.",
    columns: ["take and release, ms", "hand-over, ms"],
    rows: [],
    chartColumn: 1,
    chart: "postgres",
  };
  if (ignore) {
    report.method += ` Not measured${suffix}.`;
    return report;
  }
  await using server = await PostgresTestServer.start();
  // A lock of a server that has just started is waited for.
  await pause(TTL_MS);
  await using holder = await Session.open(server);
  const ways = [await psql(server), library(server), own(server)];
  const rounds = peers.quick ? 10 : 100;
  const takes = ways.map((): number[] => []);
  const handovers = ways.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    // In turn, so that noise is everybody's.
    for (const [i, way] of ways.entries()) {
      const start = performance.now();
      await way.round();
      takes[i]!.push(performance.now() - start);
      handovers[i]!.push(await handOver(holder, way));
    }
  }
  report.rows = ways.map(({ name }, i) => ({
    name,
    values: [median(takes[i]!), median(handovers[i]!)],
  }));
  return report;
}

async function handOver(holder: Session, way: Way): Promise<number> {
  await holder.run("pg_advisory_lock");
  const wait = await way.wait();
  while (!await holder.isAwaited());
  const start = performance.now();
  const got = wait.got.then(() => performance.now());
  await holder.run("pg_advisory_unlock");
  const ms = await got - start;
  await wait.end();
  return ms;
}

/** A session of npm's postgres that takes and gives the lock. */
class Session implements AsyncDisposable {
  readonly #sql: postgres.Sql;
  readonly #key: string;

  constructor(server: PostgresTestServer, key: bigint) {
    this.#key = `${key}`;
    this.#sql = postgres(server.url(), { max: 1, fetch_types: false });
  }

  static async open(server: PostgresTestServer): Promise<Session> {
    return new Session(server, await lockKey(NAME));
  }

  async run(call: "pg_advisory_lock" | "pg_advisory_unlock"): Promise<void> {
    await this.#sql.unsafe(`select ${call}(${this.#key})`);
  }

  async isAwaited(): Promise<boolean> {
    const rows = await this.#sql`select from pg_locks
      where locktype = 'advisory' and not granted`;
    return rows.length > 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sql.end();
  }
}

function library(server: PostgresTestServer): Way {
  return {
    name: "npm postgres",
    async round() {
      await using session = await Session.open(server);
      await session.run("pg_advisory_lock");
      await session.run("pg_advisory_unlock");
    },
    async wait() {
      const session = await Session.open(server);
      return {
        got: session.run("pg_advisory_lock"),
        end: () => session[Symbol.asyncDispose](),
      };
    },
  };
}

async function psql(server: PostgresTestServer): Promise<Way> {
  const key = await lockKey(NAME);
  const command = server.program("psql");
  const args = [
    ...server.psqlArguments("app"),
    `--command=select pg_advisory_lock(${key})`,
  ];
  return {
    name: "psql",
    async round() {
      await capture({
        command,
        args: [...args, `--command=select pg_advisory_unlock(${key})`],
      });
    },
    wait() {
      const dialogue = new Dialogue({
        command,
        args: [...args, "--command=\\! read -r _"],
      });
      return Promise.resolve({
        got: dialogue.hear(),
        end: () => dialogue[Symbol.asyncDispose](),
      });
    },
  };
}

function own(server: PostgresTestServer): Way {
  const engine = openEngine(parseClusterUrl(server.url()));
  const take = () => engine.acquire(NAME, { ttlMs: TTL_MS });
  return {
    name: "holdfast acquireClusterLock",
    async round() {
      await (await take())!.release();
    },
    wait() {
      const lock = take();
      return Promise.resolve({
        got: lock,
        end: async () => await (await lock)!.release(),
      });
    },
  };
}
