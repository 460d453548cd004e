import postgres from "postgres";
import { openEngine } from "../lib/cluster/postgres/mod.ts";
import { lockKey } from "../lib/cluster/postgres/lock_label.ts";
import { parseClusterUrl } from "../lib/cluster/url.ts";
import {
  needsPostgres,
  PostgresTestServer,
} from "../tests/support/postgres_server.ts";
import {
  compareWays,
  type Holder,
  npmWays,
  type Way,
  WAY_COLUMNS,
} from "./lock_ways.ts";
import {
  capture,
  Dialogue,
  pause,
  type Peers,
  type Report,
} from "./support.ts";

const NAME = "bench";
const TTL_MS = 3000;

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
    columns: WAY_COLUMNS,
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
  await using stack = new AsyncDisposableStack();
  const theirs = stack.use(new Session(server, await advisoryLockKey()));
  const npm = await npmWays(
    peers,
    "advisory-lock",
    server.url(),
    NAME,
    theirs,
  );
  const ways: Way[] = [
    await psql(server),
    library(server),
    ...npm.map((way) => stack.use(way)),
    own(server),
  ];
  const rounds = peers.quick ? 10 : 100;
  report.rows = await compareWays(ways, rounds, holder);
  return report;
}

/** A session of npm's postgres that takes and gives the lock. */
class Session implements Holder, AsyncDisposable {
  readonly #sql: postgres.Sql;
  readonly #key: string;

  constructor(server: PostgresTestServer, key: string) {
    this.#key = key;
    this.#sql = postgres(server.url(), { max: 1, fetch_types: false });
  }

  static async open(server: PostgresTestServer): Promise<Session> {
    return new Session(server, `${await lockKey(NAME)}`);
  }

  take(): Promise<void> {
    return this.#call("pg_advisory_lock");
  }

  release(): Promise<void> {
    return this.#call("pg_advisory_unlock");
  }

  async #call(name: string): Promise<void> {
    await this.#sql.unsafe(`select ${name}(${this.#key})`);
  }

  async awaited(): Promise<void> {
    for (;;) {
      const waiters = await this.#sql`select from pg_locks
        where locktype = 'advisory' and not granted`;
      if (waiters.length > 0) return;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sql.end();
  }
}

/** The key that npm's advisory-lock has for the name: two numbers. */
async function advisoryLockKey(): Promise<string> {
  const bytes = new TextEncoder().encode(NAME);
  const hash = new DataView(await crypto.subtle.digest("SHA-256", bytes));
  return `${hash.getInt32(0, true)}, ${hash.getInt32(4, true)}`;
}

function library(server: PostgresTestServer): Way {
  return {
    name: "npm postgres",
    async round() {
      await using session = await Session.open(server);
      await session.take();
      await session.release();
    },
    async wait() {
      const session = await Session.open(server);
      return {
        got: session.take(),
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
      return {
        got: dialogue.hear(),
        end: () => dialogue[Symbol.asyncDispose](),
      };
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
      return {
        got: lock,
        end: async () => await (await lock)!.release(),
      };
    },
  };
}
