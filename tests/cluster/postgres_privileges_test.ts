/** What a role may not do, and what it has set for itself. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  acquireClusterLock,
  ClusterPermissionError,
  readClusterLock,
} from "../../lib/cluster/mod.ts";
import {
  needsPostgres,
  PostgresTestServer,
} from "../support/postgres_server.ts";
import { until } from "../support/until.ts";

const { ignore, suffix } = needsPostgres();

function privilegeTest(
  name: string,
  body: (server: PostgresTestServer) => Promise<void>,
): void {
  Deno.test({
    name: name + suffix,
    ignore,
    async fn() {
      await using server = await PostgresTestServer.start();
      await body(server);
    },
  });
}

privilegeTest(
  "a role that lacks a privilege is told which, and leaves no lock",
  async (server) => {
    await server.sql(
      "create role weak login",
      "revoke execute on function pg_logical_emit_message(bool, text, text) from public",
    );
    const weak = server.url("x", "weak");
    const error = await assertRejects(
      () => acquireClusterLock(weak, { ttlMs: 3000 }),
      ClusterPermissionError,
    );
    assert(
      error.message.includes("denied for function pg_logical_emit_message"),
      error.message,
    );
    assertEquals((await readClusterLock(weak)).holders, []);
    await server.sql(
      "grant execute on function pg_logical_emit_message(bool, text, text) to public",
    );
  },
);

privilegeTest(
  "what a role has set for itself ends neither a lock nor a wait",
  async (server) => {
    await server.sql(
      "create role odd login",
      ...[
        "statement_timeout = '200ms'",
        "lock_timeout = '200ms'",
        "idle_session_timeout = '200ms'",
        "idle_in_transaction_session_timeout = '200ms'",
        "default_transaction_read_only = on",
        "search_path = nowhere",
        "synchronous_commit = off",
      ].map((setting) => `alter role odd set ${setting}`),
    );
    const url = server.url("x", "odd");
    const renewed = Promise.withResolvers<void>();
    const lock = await acquireClusterLock(url, {
      ttlMs: 3000,
      onEvent: () => renewed.resolve(),
    });
    const wait = acquireClusterLock(url, { ttlMs: 3000 });
    await until(async () => (await readClusterLock(url)).waiters.length > 0);
    // That is after half a second at the earliest.
    await renewed.promise;
    assert(lock.held);
    assertEquals((await readClusterLock(url)).waiters.length, 1);
    await lock.release();
    await (await wait).release();
  },
);
