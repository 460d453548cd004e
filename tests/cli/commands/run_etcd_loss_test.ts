/** What ends a command under a lock in etcd in time, or keeps it its lock. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  acquireClusterLock,
  listClusterLocks,
  readClusterLock,
} from "../../../lib/cluster/mod.ts";
import { cliArgs } from "../../support/cli.ts";
import { runEtcdTest } from "../../support/etcd.ts";
import {
  isAlive,
  nextHolder,
  startLeased,
  untilQueued,
  WORKERS,
} from "../../support/leased_command.ts";
import { HelperProcess } from "../../support/helper_process.ts";
import { assertForm } from "../../support/json_schema.ts";
import { TcpProxy } from "../../support/tcp_proxy.ts";
import { until } from "../../support/until.ts";

const PERMISSIONS = ["--allow-ffi", "--allow-net"];
const TTL_MS = 10_000;
/** KILL comes a third of it before the end: a busy machine is late with it. */
const MARGIN_MS = 7500;

function startHolding(args: string[], setup?: string) {
  const lease = ["--lease", `${TTL_MS}ms`, "--lease-margin", `${MARGIN_MS}ms`];
  return startLeased([...lease, ...args], PERMISSIONS, setup);
}

runEtcdTest(
  "a revoked lease: TERM for the command, 65, and events that say so",
  async (server, directory) => {
    const url = server.url("deploy");
    const events = directory.join("events");
    const { held } = await startHolding(
      ["--json-events", events, url],
      "trap 'echo told; exit 0' TERM",
    );
    await using _held = held;
    const [holder] = (await readClusterLock(url)).holders;
    await server.ctl("lease", "revoke", holder!.key.split("/").at(-1)!);
    assertEquals(await held.nextLine(), "told");
    assertEquals((await held.status).code, 65);
    const text = Deno.readTextFileSync(events);
    assertForm("run-events", text);
    const seen = text.trim().split("\n").map((line) => JSON.parse(line));
    const lost = seen.find(({ event }) => event === "lost");
    assertStringIncludes(lost.reason, "revoked");
    assertEquals(seen.at(-1).event, "released");
  },
);

runEtcdTest(
  "events tell of renewals, and of the next server when one is cut off",
  async (server, directory) => {
    using proxy = new TcpProxy(server.port);
    const addresses = `127.0.0.1:${proxy.port},127.0.0.1:${server.port}`;
    const events = directory.join("events");
    const { held } = await startHolding(
      ["--json-events", events, `etcd://${addresses}/deploy`],
      "trap 'exit 0' TERM",
    );
    await using _held = held;
    const isTold = (event: string) =>
      Deno.readTextFileSync(events).includes(`"event":"${event}"`);
    await until(() => isTold("renewed"));
    proxy.cut();
    await until(() => isTold("failed-over"));
    assertForm("run-events", Deno.readTextFileSync(events));
  },
);

const FAULTS: [
  string,
  exitCode: number,
  (held: HelperProcess, proxy: TcpProxy) => void,
][] = [
  ["cut", 65, (_held, proxy) => proxy.cut()],
  ["frozen", 65, (held) => held.kill("SIGSTOP")],
  ["killed", 128 + 9, (held) => held.kill("SIGKILL")],
];

for (const [who, setup] of Object.entries(WORKERS)) {
  runEtcdTest(
    `a supervisor cut off, frozen or killed with -9: ${who} is dead before the next holder starts`,
    async (server) => {
      await Promise.all(FAULTS.map(async ([fault, exitCode, inflict]) => {
        using proxy = new TcpProxy(server.port);
        const { held, pid } = await startHolding(
          [`etcd://127.0.0.1:${proxy.port}/${fault}`],
          setup,
        );
        await using _held = held;
        const next = nextHolder(server.url(fault), pid);
        await untilQueued(server.url(fault));
        assert(isAlive(pid));
        const faultAt = performance.now();
        inflict(held, proxy);
        const { wasAlive, startedAt } = await next;
        assertEquals(wasAlive, false, fault);
        // Within a second of the end of the lease, where the machine is idle.
        const waitedMs = startedAt - faultAt;
        assert(waitedMs < 2 * TTL_MS, `${fault}: ${waitedMs} ms`);
        if (fault === "frozen") held.kill("SIGCONT");
        assertEquals((await held.status).code, exitCode, fault);
      }));
    },
  );
}

runEtcdTest(
  "what a command leaves behind when it ends by itself goes on",
  async (server) => {
    const url = server.url("deploy");
    const { held, pid } = await startHolding(
      ["--quiet", url],
      "(sh -c 'trap \"\" TERM; echo $$; exec sleep 100' >&3 3>&- &) 3>&1; exit",
    );
    await using _held = held;
    assertEquals((await held.status).code, 0);
    assert(isAlive(pid));
    Deno.kill(pid, "SIGKILL");
  },
);

runEtcdTest(
  "of several servers one is cut off: holder and waiter ask another, and events say so",
  async (server, directory) => {
    using first = new TcpProxy(server.port);
    using second = new TcpProxy(server.port);
    const hosts = [first, second].map(({ port }) => `127.0.0.1:${port}`);
    const url = `etcd://${hosts.join()}/deploy`;
    const events = directory.join("events");
    const { held, pid } = await startHolding(["--json-events", events, url]);
    await using _held = held;
    const [{ key = "" } = {}] = (await readClusterLock(server.url("deploy")))
      .holders;
    await using waiter = HelperProcess.spawn(
      Deno.execPath(),
      cliArgs(["run", "-q", url, "--", "echo", "got"], PERMISSIONS),
    );
    await untilQueued(server.url("deploy"));
    const seen = (event: string) =>
      Deno.readTextFileSync(events).includes(`"event":"${event}"`);
    await until(() => seen("renewed"));
    first.cut();
    await until(() => seen("failed-over"));
    await until(() =>
      Deno.readTextFileSync(events).split(`"event":"failed-over"`)[1]!
        .includes(`"event":"renewed"`)
    );
    assert(isAlive(pid));
    const { holders } = await readClusterLock(server.url("deploy"));
    assertEquals(holders.map((holder) => holder.key), [key]);
    Deno.kill(pid, "SIGKILL");
    assertEquals((await held.status).code, 128 + 9);
    assertEquals(await waiter.nextLine(), "got");
    assertEquals((await waiter.status).code, 0);
  },
);

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  runEtcdTest(
    `a wait that ${signal} ends leaves the queue at once, and dies of it`,
    async (server) => {
      const url = server.url("deploy");
      await using held = await acquireClusterLock(url);
      await using waiter = HelperProcess.spawn(
        Deno.execPath(),
        cliArgs(["run", "-q", server.url("a"), url, "--", "echo", "never"], [
          ...PERMISSIONS,
        ]),
      );
      await untilQueued(url);
      waiter.kill(signal);
      assertEquals((await waiter.status).signal, signal);
      assertEquals(await waiter.nextLine(), undefined);
      const left = await listClusterLocks(server.url(""));
      assertEquals(
        left.map(({ name, waiters }) => [name, waiters.length]),
        [["deploy", 0]],
      );
      assert(held.held);
    },
  );
}

runEtcdTest(
  "a guard that is killed is replaced: a supervisor that is frozen then leaves no command",
  async (server) => {
    const url = server.url("deploy");
    const { held, pid } = await startHolding([url], "trap '' TERM");
    await using _held = held;
    const [first] = guardsOf(held.pid);
    Deno.kill(first!, "SIGKILL");
    await until(() => guardsOf(held.pid).some((guard) => guard !== first));
    const next = nextHolder(url, pid);
    await untilQueued(url);
    held.kill("SIGSTOP");
    assertEquals((await next).wasAlive, false);
    held.kill("SIGCONT");
    assertEquals((await held.status).code, 65);
  },
);

runEtcdTest(
  "a guard that is frozen keeps nobody waiting for the end of the command's output",
  async (server) => {
    const { held, pid } = await startHolding([server.url("deploy")]);
    await using _held = held;
    const [guard] = guardsOf(held.pid);
    Deno.kill(guard!, "SIGSTOP");
    Deno.kill(pid, "SIGKILL");
    assertEquals(await held.nextLine(), undefined);
    assertEquals((await held.status).code, 128 + 9);
    await until(() => !isAlive(guard!));
  },
);

/** The guard processes that a supervisor has. */
function guardsOf(supervisor: number): number[] {
  const children = Deno.readTextFileSync(
    `/proc/${supervisor}/task/${supervisor}/children`,
  );
  return children.trim().split(" ").map(Number).filter((pid) =>
    isAlive(pid) &&
    Deno.readTextFileSync(`/proc/${pid}/cmdline`).includes("--lease-guard")
  );
}
