/** Commands on locks in PostgreSQL. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  acquireClusterLock,
  readClusterLock,
} from "../../../lib/cluster/mod.ts";
import { cliArgs, runCli } from "../../support/cli.ts";
import { freePort } from "../../support/free_port.ts";
import { HelperProcess } from "../../support/helper_process.ts";
import {
  isAlive,
  nextHolder,
  startLeased,
  untilQueued,
  WORKERS,
} from "../../support/leased_command.ts";
import {
  needsPostgres,
  PostgresTestServer,
} from "../../support/postgres_server.ts";
import type { ProgramResult } from "../../support/run_program.ts";
import { TcpProxy } from "../../support/tcp_proxy.ts";
import { until } from "../../support/until.ts";

const { ignore, suffix } = needsPostgres();
/** All that `run` takes. */
const PERMISSIONS = [
  "--allow-ffi",
  "--allow-net=127.0.0.1",
  // The client library looks for these.
  "--allow-env=PGAPPNAME,PGTARGETSESSIONATTRS",
];
const LEASE = ["--lease", "3s"];
const TTL = { ttlMs: 3000 };

/** One server for the tests of this file, started by the first of them. */
let started: Promise<PostgresTestServer> | undefined;

function commandTest(
  name: string,
  body: (server: PostgresTestServer) => Promise<void>,
): void {
  Deno.test({
    name: `commands with PostgreSQL: ${name}${suffix}`,
    ignore,
    fn: async () => await body(await (started ??= PostgresTestServer.start())),
  });
}

Deno.test.afterAll(async () => {
  await (await started)?.[Symbol.asyncDispose]();
});

function holdfast(
  args: string[],
  env: Record<string, string> = {},
): Promise<ProgramResult> {
  const permissions = args[0] === "run" ? PERMISSIONS : ["-A"];
  return runCli(args, { permissions, env });
}

commandTest(
  "a server that has just been started may have forgotten a holder, and that is said",
  async (server) => {
    const url = server.url("new");
    const { code, stderr } = await holdfast(["run", "-n", url, "--", "true"]);
    assertEquals(code, 75);
    assertStringIncludes(stderr, "may have forgotten a holder");
    const who = await holdfast(["who", url]);
    assertStringIncludes(who.stdout, "note: the server was started ");
    assertEquals(
      (await holdfast(["run", ...LEASE, url, "--", "true"])).code,
      0,
    );
  },
);

commandTest(
  "the command is told lock, fence, key and slot, and the lock is free afterwards",
  async (server) => {
    const script =
      'echo "$HOLDFAST_LOCK $HOLDFAST_FENCE $HOLDFAST_LOCK_KEY $HOLDFAST_SLOT"; exit 7';
    const run = (...args: string[]) =>
      holdfast(["run", "-q", ...LEASE, ...args, "--", "sh", "-c", script]);
    const url = server.url("told");
    const first = await run(url);
    assertEquals([first.code, first.stderr], [7, ""]);
    const [lock, fence, key, none] = first.stdout.slice(0, -1).split(" ");
    assertEquals([lock, none], [url, ""]);
    assertEquals(
      key,
      await server.sql(
        "select ('x' || left(encode(sha256('told'), 'hex'), 16))::bit(64)::int8",
      ),
    );
    const second = await run("--slots", "2", url);
    const [, higher, , slot] = second.stdout.trim().split(" ");
    assert(BigInt(higher!) > BigInt(fence!));
    assertEquals(slot, "0");
    assertEquals((await readClusterLock(url)).holders, []);
  },
);

commandTest(
  "a busy lock is 75, with its holder; sharers share it",
  async (server) => {
    const url = server.url("busy");
    await using _held = await acquireClusterLock(url, {
      ...TTL,
      mode: "shared",
      message: "release 7",
    });
    for (const wait of [["-n"], ["-w", "0.2"]]) {
      const { code, stderr } = await holdfast([
        "run",
        ...LEASE,
        ...wait,
        url,
        "--",
        "true",
      ]);
      assertEquals(code, 75);
      assertStringIncludes(stderr, `pid ${Deno.pid}`);
      assertStringIncludes(stderr, "release 7, shared");
    }
    const shared = await holdfast([
      "run",
      ...LEASE,
      "-n",
      "--shared",
      url,
      "--",
      "true",
    ]);
    assertEquals([shared.code, shared.stderr], [0, ""]);
  },
);

commandTest(
  "who, test and locks name holder and waiters, as another role too",
  async (server) => {
    const url = server.url("team/x");
    await using held = await acquireClusterLock(url, {
      ...TTL,
      message: "release 7",
    });
    await using waiter = HelperProcess.spawn(
      Deno.execPath(),
      cliArgs(["run", url, "--", "echo", "done"], PERMISSIONS),
    );
    await until(async () => (await readClusterLock(url)).waiters.length > 0);
    const who = await holdfast(["who", url]);
    assertEquals(who.code, 1);
    const [title, holder, queue, waiting] = who.stdout.split("\n");
    assertEquals(title, `"${url}": held by`);
    assertStringIncludes(holder!, `pid ${Deno.pid}`);
    assertStringIncludes(holder!, "release 7");
    assertEquals(queue, " waited for by");
    assertStringIncludes(waiting!, `pid ${waiter.pid}`);
    assertStringIncludes(waiting!, "echo done");

    const other = server.url("team/x", "other");
    const json = JSON.parse((await holdfast(["who", "--json", other])).stdout);
    assertEquals(
      [json.locks[0].holders[0].pid, json.locks[0].waiters[0].pid],
      [Deno.pid, waiter.pid],
    );
    assertEquals((await holdfast(["test", other])).code, 1);
    assertEquals((await holdfast(["test", server.url("free")])).code, 0);
    const list = await holdfast([
      "locks",
      "--json",
      server.url("team/", "other"),
    ]);
    const names = JSON.parse(list.stdout).locks.map((lock: { name: string }) =>
      lock.name
    );
    assertEquals(names, ["team/x"]);
    await held.release();
    assertEquals(await waiter.nextLine(), "done");
  },
);

/** Starts a command that ignores TERM, and lets the next one queue up. */
async function startDeaf(
  url: string,
  { nextUrl = url, setup = "trap '' TERM" } = {},
) {
  // KILL comes 2 s before the end: a busy machine is late with it.
  const lease = ["--lease", "8s", "--lease-margin", "6s"];
  const { held, pid } = await startLeased([...lease, url], PERMISSIONS, setup);
  const next = nextHolder(nextUrl, pid, { ttlMs: 8000 });
  await untilQueued(nextUrl);
  assert(isAlive(pid));
  return { held, pid, next };
}

commandTest(
  "cut off, a command that ignores TERM is dead before the next holder starts",
  async (server) => {
    using proxy = new TcpProxy(server.port);
    const url = server.url("cut");
    const { held, next } = await startDeaf(
      url.replace(`${server.port}`, `${proxy.port}`),
      { nextUrl: url },
    );
    await using _held = held;
    proxy.cut();
    assertEquals((await next).wasAlive, false);
    assertEquals((await held.status).code, 65);
  },
);

commandTest(
  "a frozen supervisor: the command is dead before the next holder starts",
  async (server) => {
    const { held, next } = await startDeaf(server.url("frozen"));
    await using _held = held;
    held.kill("SIGSTOP");
    assertEquals((await next).wasAlive, false);
    held.kill("SIGCONT");
    assertEquals((await held.status).code, 65);
  },
);

commandTest(
  "a server that crashes: the command is dead before the next holder starts",
  async (server) => {
    const { held, next } = await startDeaf(server.url("crash"));
    await using _held = held;
    await server.restart("immediate");
    assertEquals((await next).wasAlive, false);
    assertEquals((await held.status).code, 65);
  },
);

for (const [who, setup] of Object.entries(WORKERS)) {
  commandTest(
    `a supervisor killed with -9: ${who} is killed, and the next starts`,
    async (server) => {
      const { held, pid, next } = await startDeaf(server.url(who), { setup });
      await using _held = held;
      held.kill("SIGKILL");
      await next;
      await until(() => !isAlive(pid));
    },
  );
}

commandTest(
  "a wait that SIGTERM ends leaves the queue, and dies of it",
  async (server) => {
    const url = server.url("given up");
    await using _held = await acquireClusterLock(url, TTL);
    await using waiter = HelperProcess.spawn(
      Deno.execPath(),
      cliArgs(["run", "-q", url, "--", "echo", "never"], PERMISSIONS),
    );
    await untilQueued(url);
    waiter.kill("SIGTERM");
    assertEquals((await waiter.status).signal, "SIGTERM");
    assertEquals(await waiter.nextLine(), undefined);
    assertEquals((await readClusterLock(url)).waiters, []);
  },
);

commandTest(
  "the command of a session that is ended at the server is told so, and ends with 65",
  async (server) => {
    const url = server.url("ended");
    await using run = HelperProcess.spawn(
      Deno.execPath(),
      cliArgs([
        ...["run", ...LEASE, url, "--", "sh", "-c"],
        "trap 'echo told; exit' TERM; echo ready; while :; do sleep 0.01; done",
      ], PERMISSIONS),
    );
    assertEquals(await run.nextLine(), "ready");
    const { holders } = await readClusterLock(url);
    const pid = holders[0]!.session.replace("backend ", "");
    await server.sql(`select pg_terminate_backend(${pid})`);
    assertEquals(await run.nextLine(), "told");
    assertEquals((await run.status).code, 65);
  },
);

commandTest(
  "a lock is held until the command is dead, whatever it does with TERM",
  async (server) => {
    const url = server.url("deaf");
    await using run = HelperProcess.spawn(
      Deno.execPath(),
      cliArgs([
        ...["run", ...LEASE, url, "--", "sh", "-c"],
        "trap '' TERM; echo $$; while :; do sleep 0.01; done",
      ], PERMISSIONS),
    );
    const command = Number(await run.nextLine());
    run.kill("SIGTERM");
    await using _next = await acquireClusterLock(url, {
      ...TTL,
      onWait: () => Deno.kill(command, "SIGKILL"),
    });
    assertEquals((await run.status).code, 128 + 9);
  },
);

commandTest(
  "a wrong password is 77, and no secret is in any text",
  async (server) => {
    await server.sql("create role secretive login password 'right'");
    const env = { PGPASSWORD: "hunter2" };
    const url = server.url("x", "absent");
    for (
      const args of [["run", url, "--", "true"], ["who", url], ["locks", url]]
    ) {
      const { code, stdout, stderr } = await holdfast(args, env);
      assertEquals(code, 77, args.join(" "));
      assertEquals(stderr.trim().split("\n").length, 1);
      assert(!(stdout + stderr).includes("hunter2"), stderr);
    }
    const inUrl = url.replace("absent@", "absent:hunter2@");
    const { code, stderr } = await holdfast(["run", inUrl, "--", "true"]);
    assertEquals(code, 64);
    assertStringIncludes(stderr, "PGPASSWORD or PGPASSFILE");
    assert(!stderr.includes("hunter2"), stderr);
  },
);

commandTest(
  "the doctor says whether locks can be taken, and why not",
  async (server) => {
    const good = await holdfast(["doctor", server.url()]);
    assertEquals(good.code, 0);
    assertStringIncludes(good.stdout, `version: PostgreSQL `);
    const bad = await holdfast(["doctor", "--json", server.url("", "absent")]);
    assertEquals(bad.code, 1);
    assertStringIncludes(bad.stdout, `"code":"credentials"`);
  },
);

Deno.test("commands with PostgreSQL: where none is, it is 69 and one sentence", async () => {
  const url = `postgres://app@127.0.0.1:${freePort()}/postgres#x`;
  const { code, stdout, stderr } = await holdfast([
    "run",
    url,
    "--",
    "echo",
    "never",
  ]);
  assertEquals([code, stdout], [69, ""]);
  assertEquals(stderr.trim().split("\n").length, 1);
  assertStringIncludes(stderr, "nothing listens at 127.0.0.1:");
});
