/** How a PostgreSQL server is found and logged in to, as libpq's users know it. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import type {
  ClusterDiagnosis,
  EngineOptions,
} from "../../lib/cluster/engine.ts";
import {
  ClusterPermissionError,
  ClusterUnreachableError,
} from "../../lib/cluster/errors.ts";
import { openEngine } from "../../lib/cluster/postgres/mod.ts";
import { parseClusterUrl } from "../../lib/cluster/url.ts";
import { Certificates } from "../support/certificates.ts";
import { freePort } from "../support/free_port.ts";
import { needs } from "../support/programs.ts";
import {
  needsPostgres,
  PostgresTestServer,
} from "../support/postgres_server.ts";
import { TempDir } from "../support/temp_dir.ts";

const { ignore, suffix } = needsPostgres();
const SECRET = "s3cret:with\\all'sorts";

let started: Promise<PostgresTestServer> | undefined;

function start(): Promise<PostgresTestServer> {
  return started ??= PostgresTestServer.start({
    hba: [
      "host all secretive 127.0.0.1/32 scram-sha-256",
      "host all old 127.0.0.1/32 md5",
      "host all nobody 127.0.0.1/32 reject",
      "hostssl all certified 127.0.0.1/32 cert",
      "hostssl all encrypted 127.0.0.1/32 trust",
      "hostnossl all encrypted 127.0.0.1/32 reject",
    ],
    roles: ["secretive", "old", "encrypted", "certified", "nobody"],
  });
}

let isPrepared: Promise<string> | undefined;

function prepare(server: PostgresTestServer): Promise<string> {
  const password = `password '${SECRET.replaceAll("'", "''")}'`;
  return server.sql(
    `alter role secretive ${password}`,
    "set password_encryption = md5",
    `alter role old ${password}`,
    "create database closed",
    "revoke connect on database closed from public",
  );
}

Deno.test.afterAll(async () => {
  await (await started)?.[Symbol.asyncDispose]();
});

function loginTest(
  name: string,
  body: (server: PostgresTestServer) => Promise<void>,
  guard = { ignore: false, suffix: "" },
): void {
  Deno.test({
    name: name + suffix + guard.suffix,
    ignore: ignore || guard.ignore,
    async fn() {
      const server = await start();
      isPrepared ??= prepare(server);
      await isPrepared;
      await body(server);
    },
  });
}

/** Logs in with these variables and no others. */
async function logIn(
  url: string,
  env: Record<string, string> = {},
  options: EngineOptions = {},
): Promise<void> {
  await using engine = openEngine(parseClusterUrl(url), {
    env: (name) => env[name],
    ...options,
  });
  await engine.list("");
}

async function diagnose(
  url: string,
  env: Record<string, string> = {},
): Promise<ClusterDiagnosis> {
  await using engine = openEngine(parseClusterUrl(url), {
    env: (name) => env[name],
  });
  return await engine.diagnose();
}

async function unreachable(
  url: string,
  env: Record<string, string> = {},
  options: EngineOptions = {},
): Promise<string> {
  return (await assertRejects(
    () => logIn(url, env, options),
    ClusterUnreachableError,
  )).reason;
}

async function refused(
  url: string,
  env: Record<string, string> = {},
): Promise<string> {
  const error = await assertRejects(
    () => logIn(url, env),
    ClusterPermissionError,
  );
  assert(!Deno.inspect(error).includes("s3cret"), "the password is shown");
  return error.reason;
}

loginTest("the variables of libpq say where and who", async (server) => {
  const env = {
    PGHOST: "127.0.0.1",
    PGPORT: `${server.port}`,
    PGUSER: "app",
    PGDATABASE: "postgres",
  };
  await logIn("postgres://", env);
  await logIn("postgres:///postgres", { ...env, PGDATABASE: "absent" });
  await logIn("postgres://", { ...env, PGHOST: server.directory });
  await logIn("postgres://", {
    ...env,
    PGHOST: "no.such.host.invalid",
    PGHOSTADDR: "127.0.0.1",
  });
});

loginTest("several hosts are tried in turn", async (server) => {
  const { port } = server;
  await logIn("postgres://app@", {
    PGHOST: "127.0.0.1,127.0.0.1",
    PGPORT: `${freePort()},${port}`,
    PGDATABASE: "postgres",
  });
  await logIn(
    `postgres://app@127.0.0.1:${freePort()},127.0.0.1:${port}/postgres`,
  );
});

loginTest("a service names all of it", async (server) => {
  using directory = new TempDir();
  const file = directory.join("services");
  Deno.writeTextFileSync(
    file,
    `[other]\nhost=nowhere\n[locks]\nhost=127.0.0.1\nport=${server.port}\n` +
      "user=app\ndbname=postgres\n",
  );
  const env = { PGSERVICEFILE: file, PGSERVICE: "locks", PGUSER: "absent" };
  await logIn("postgres://", env);
  const missing = await unreachable("postgres://", { ...env, PGSERVICE: "x" });
  assert(missing.startsWith('no service "x" is in '), missing);
});

for (const user of ["secretive", "old"]) {
  loginTest(
    `the user ${user} logs in by a password of the environment, a file or the caller`,
    async (server) => {
      const url = server.url("", user);
      await logIn(url, { PGPASSWORD: SECRET });
      await logIn(url, {}, { password: SECRET });
      using directory = new TempDir();
      const file = directory.join("passwords");
      const escaped = SECRET.replace(/[\\:]/g, "\\$&");
      Deno.writeTextFileSync(
        file,
        `# all\nelsewhere:*:*:*:wrong\n127.0.0.1:${server.port}:*:${user}:${escaped}\n`,
        { mode: 0o600 },
      );
      await logIn(url, { PGPASSFILE: file });
      Deno.chmodSync(file, 0o644);
      const reason = await refused(url, { PGPASSFILE: file });
      assert(reason.includes(`chmod 600`), reason);
    },
  );
}

loginTest(
  "a login that fails says why, and never shows the password",
  async (server) => {
    const url = server.url("", "secretive");
    const at = `127.0.0.1:${server.port}`;
    assertEquals(
      await refused(url),
      `${at} wants a password for the user secretive; set PGPASSWORD or PGPASSFILE`,
    );
    assertEquals(
      await refused(url, { PGPASSWORD: "s3cret but wrong" }),
      `${at} refuses the user secretive: password authentication failed for user "secretive"`,
    );
    const hba = await refused(server.url("", "nobody"));
    assert(hba.includes("pg_hba.conf rejects connection"), hba);
    const closed = await refused(server.url().replace("/postgres", "/closed"));
    assert(closed.includes('permission denied for database "closed"'), closed);
    assertEquals(
      await unreachable(server.url().replace("/postgres", "/absent")),
      `there is no database absent at ${at}`,
    );
    const nobody = freePort();
    assertEquals(
      await unreachable(`postgres://app@127.0.0.1:${nobody}/postgres`),
      `nothing listens at 127.0.0.1:${nobody}; is PostgreSQL running there?`,
    );
    assertEquals(
      await unreachable("postgres://app@no.such.host.invalid/postgres"),
      "there is no host no.such.host.invalid",
    );
  },
);

loginTest(
  "what libpq would insist on and this doesn't know is refused",
  async (server) => {
    assertEquals(
      await unreachable(server.url(), { PGCHANNELBINDING: "require" }),
      "PGCHANNELBINDING=require is not supported here",
    );
    const mode = await unreachable(server.url(), { PGSSLMODE: "verify" });
    assert(
      mode.startsWith("PGSSLMODE is verify, and not one of disable, "),
      mode,
    );
  },
);

Deno.test("a server that says nothing is given up in time", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  assertEquals(
    await unreachable(`postgres://app@127.0.0.1:${port}/postgres`, {}, {
      connectTimeoutMs: 100,
    }),
    `127.0.0.1:${port} did not answer within 0.1 s`,
  );
});

Deno.test("a server of something else is told from PostgreSQL", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const answering = (async () => {
    for await (const connection of listener) {
      await connection.write(new TextEncoder().encode("220 mail\r\n"));
      connection.close();
    }
  })();
  const reason = await unreachable(`postgres://app@127.0.0.1:${port}/postgres`);
  assert(reason.includes(`127.0.0.1:${port}`), reason);
  listener.close();
  await answering;
});

loginTest("TLS: each mode of libpq checks what it promises", async (server) => {
  using certificates = await Certificates.create();
  using others = await Certificates.create();
  const { cert, key } = await certificates.sign("server");
  for (
    const [name, path] of [
      ["server.crt", cert],
      ["server.key", key],
      ["root.crt", certificates.ca],
    ] as const
  ) await server.writeOwn(`data/${name}`, Deno.readTextFileSync(path));
  const url = server.url("", "encrypted");
  const tls = (PGSSLMODE: string, ca?: string) => ({
    PGSSLMODE,
    ...(ca === undefined ? {} : { PGSSLROOTCERT: ca }),
  });
  assertEquals(
    await unreachable(url, tls("require")),
    `TLS with 127.0.0.1:${server.port} failed: the server has no TLS ` +
      "(ssl is off there); see PGSSLMODE and PGSSLROOTCERT",
  );
  await server.sql(
    "alter system set ssl = on",
    "alter system set ssl_ca_file = 'root.crt'",
  );
  await server.restart("fast");

  const plain = await refused(url, tls("disable"));
  assert(plain.includes("pg_hba.conf rejects connection"), plain);
  for (const mode of ["allow", "prefer", "require"]) {
    await logIn(url, tls(mode));
  }
  await logIn(url, tls("verify-ca", certificates.ca));
  await logIn(url, tls("verify-full", certificates.ca));
  const name = await unreachable("postgres://encrypted@/postgres", {
    PGHOST: "db.example",
    PGHOSTADDR: "127.0.0.1",
    PGPORT: `${server.port}`,
    ...tls("verify-full", certificates.ca),
  });
  assert(name.includes("does not match certificate's altnames"), name);
  for (const mode of ["require", "verify-ca", "verify-full"]) {
    const other = await unreachable(url, tls(mode, others.ca));
    assert(/self-signed|unable to (get|verify)/.test(other), other);
  }
  const none = await unreachable(url, tls("verify-full"));
  assert(none.includes("needs certificates to trust"), none);

  const certified = server.url("", "certified");
  const own = await certificates.sign("client", "/CN=certified");
  await logIn(certified, {
    ...tls("verify-full", certificates.ca),
    PGSSLCERT: own.cert,
    PGSSLKEY: own.key,
  });
  Deno.chmodSync(own.key, 0o644);
  const open = await unreachable(certified, {
    ...tls("require", certificates.ca),
    PGSSLCERT: own.cert,
    PGSSLKEY: own.key,
  });
  assert(open.includes("chmod 600"), open);
  const lacking = await refused(certified, tls("require"));
  assert(lacking.includes("requires a valid client certificate"), lacking);
  const facts = (await diagnose(url, tls("require"))).facts;
  assert(
    facts.find(({ name }) => name === "encryption")!.value.startsWith("TLS"),
  );
}, needs("openssl"));

loginTest("a standby is passed over, and named by diagnose", async (server) => {
  await using standby = await PostgresTestServer.start({
    settings: ["hot_standby = on"],
  });
  await standby.stop("fast");
  await standby.writeOwn("data/standby.signal", "");
  await standby.startAgain();
  const reason = await unreachable(standby.url());
  assert(reason.includes("is a standby"), reason);
  const { usable, warnings } = await diagnose(standby.url());
  assertEquals([usable, warnings.map(({ code }) => code)], [false, [
    "standby",
  ]]);
  await logIn(
    `postgres://app@127.0.0.1:${standby.port},127.0.0.1:${server.port}/postgres`,
  );
});

loginTest("diagnose says what is true of a server", async (server) => {
  await server.sql("alter role app set synchronous_commit = off");
  const { usable, facts, warnings } = await diagnose(server.url());
  await server.sql("alter role app reset synchronous_commit");
  assert(usable);
  const fact = (name: string) =>
    facts.find((fact) => fact.name === name)?.value;
  assertEquals(
    [fact("server"), fact("user"), fact("database"), fact("role")],
    [`127.0.0.1:${server.port}`, "app", "postgres", "primary"],
  );
  assertEquals(fact("version")?.startsWith("PostgreSQL "), true);
  assertEquals(warnings.map(({ code }) => code), [
    "not-durable",
    "asynchronous-commit",
  ]);
});

loginTest("diagnose doesn't throw for a login that fails", async (server) => {
  const codes = async (url: string, env = {}) =>
    (await diagnose(url, env)).warnings.map(({ code }) => code);
  assertEquals(await codes(server.url("", "secretive")), ["credentials"]);
  assertEquals(await codes(`postgres://a@127.0.0.1:${freePort()}/b`), [
    "unreachable",
  ]);
  assertEquals(await codes(server.url(), { PGPORT: "x" }), [
    "not-durable",
  ]);
  assertEquals(await codes("postgres://", { PGPORT: "x" }), ["settings"]);
});

for (const ignoresParameters of [false, true]) {
  const what = ignoresParameters
    ? "that drops what it doesn't know"
    : "as it is";
  loginTest(
    `pgbouncer ${what} is refused, and named by diagnose`,
    async (server) => {
      const port = freePort();
      const config = await server.writeOwn(
        `pgbouncer-${port}.ini`,
        [
          `[databases]\n* = host=127.0.0.1 port=${server.port}`,
          "[pgbouncer]",
          `listen_addr = 127.0.0.1\nlisten_port = ${port}`,
          "auth_type = any\npool_mode = transaction\nunix_socket_dir =",
          `logfile = ${server.directory}/pgbouncer-${port}.log`,
          ignoresParameters
            ? `ignore_startup_parameters = ${IGNORED.join()}`
            : "",
        ].join("\n"),
      );
      const [command, args] = server.asServerUser("pgbouncer", [
        "--quiet",
        config,
      ]);
      const pgbouncer = new Deno.Command(command, { args, stderr: "null" })
        .spawn();
      try {
        const url = `postgres://app@127.0.0.1:${port}/postgres#x`;
        await using engine = openEngine(parseClusterUrl(url));
        const reason = await refusedByPooler(engine);
        assert(reason.includes("pooler"), reason);
        const { usable, warnings } = await engine.diagnose();
        assertEquals([usable, warnings[0]!.code], [false, "pooler"]);
      } finally {
        pgbouncer.kill("SIGTERM");
        await pgbouncer.status;
      }
    },
    needs("pgbouncer"),
  );
}

/** All that a session of holdfast starts with. */
const IGNORED = [
  "search_path",
  "lock_timeout",
  "statement_timeout",
  "default_transaction_read_only",
  "idle_session_timeout",
  "client_connection_check_interval",
  "tcp_keepalives_idle",
  "tcp_keepalives_interval",
  "tcp_keepalives_count",
  "tcp_user_timeout",
  "synchronous_commit",
];

/** It listens a moment after it has been started. */
async function refusedByPooler(
  engine: ReturnType<typeof openEngine>,
): Promise<string> {
  for (;;) {
    const { reason } = await assertRejects(
      () => engine.acquire("x", { timeoutMs: 0 }),
      ClusterUnreachableError,
    );
    if (!reason.startsWith("nothing listens")) return reason;
  }
}
