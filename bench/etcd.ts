import { openEngine } from "../lib/cluster/etcd/mod.ts";
import type { ClusterEngine, ClusterLock } from "../lib/cluster/engine.ts";
import { parseClusterUrl } from "../lib/cluster/url.ts";
import { ETCD, etcdctlEnv, EtcdServer } from "../tests/support/etcd.ts";
import {
  compareWays,
  type Holder,
  npmWays,
  type Way,
  WAY_COLUMNS,
} from "./lock_ways.ts";
import {
  capture,
  holdfast,
  type Invocation,
  pause,
  type Peers,
  type Report,
} from "./support.ts";

const NAME = "bench";
const SETTLE_MS = 300;

/** Benchmark 9: locks of an etcd server on this host. */
export async function measureEtcd(peers: Peers): Promise<Report> {
  const report: Report = {
    title: "etcd: take, release and hand-over",
    method: "One server on loopback, its data in memory. The time to take a " +
      "free lock and release it, for commands all of their run; and the time " +
      "from the release by another client to the moment that one waiter has " +
      "the lock, for commands until their first line of output. The locks of " +
      "npm etcd3 don't wait: its hand-over is that of its elections.",
    columns: WAY_COLUMNS,
    rows: [],
    chartColumn: 1,
    chart: "etcd",
  };
  if (ETCD.ignore) {
    report.method += ` Not measured${ETCD.suffix}.`;
    return report;
  }
  await using server = await EtcdServer.start();
  const engine = () => openEngine(parseClusterUrl(server.url(NAME)));
  await using holder = engine();
  await using waiter = engine();
  const env = etcdctlEnv([server.endpoint]);
  const etcdctl = (...args: string[]): Invocation => ({
    command: "env",
    args: [
      ...Object.entries(env).map(([name, value]) => `${name}=${value}`),
      ...["etcdctl", "lock", "--", NAME, ...args],
    ],
  });
  const run = (...args: string[]) =>
    holdfast("run", server.url(NAME), "--", ...args);
  await using stack = new AsyncDisposableStack();
  // Its keys end in a lease too, but in decimal.
  const election = holderOf(holder, `election/${NAME}`, async () => {
    const keys = await server.ctl("get", "--prefix", "--keys-only", "election");
    return keys.trim().split(/\s+/).length > 1;
  });
  const npm = await npmWays(peers, "etcd3", server.endpoint, NAME, election);
  const ways: Way[] = [
    commandWay("etcdctl lock NAME CMD", etcdctl),
    commandWay("holdfast run URL CMD", run),
    ...npm.map((way) => stack.use(way)),
    libraryWay(waiter),
  ];
  const rounds = peers.quick ? 5 : 40;
  report.rows = await compareWays(ways, rounds, holderOf(holder));
  return report;
}

function holderOf(
  engine: ClusterEngine,
  name = NAME,
  isAwaited = async () => (await engine.status(name)).waiters.length > 0,
): Holder {
  let lock: ClusterLock | undefined;
  return {
    async take() {
      lock = await engine.acquire(name, {});
    },
    async awaited() {
      while (!await isAwaited());
      // Its watch comes after its place in the queue.
      await pause(SETTLE_MS);
    },
    release: async () => await lock!.release(),
  };
}

function commandWay(
  name: string,
  lock: (...command: string[]) => Invocation,
): Way {
  return {
    name,
    round: () => capture(lock("true")),
    wait() {
      const { command, args } = lock("echo", "got");
      const child = new Deno.Command(command, {
        args,
        stdin: "null",
        stdout: "piped",
      }).spawn();
      const output = child.stdout.getReader();
      return {
        got: output.read(),
        // It ends by itself: killed, it would leave its lease to run out.
        async end() {
          await child.status;
          await output.cancel();
        },
      };
    },
  };
}

function libraryWay(engine: ClusterEngine): Way {
  return {
    name: "holdfast acquireClusterLock",
    round: async () => await (await engine.acquire(NAME, {}))!.release(),
    wait() {
      const lock = engine.acquire(NAME, {});
      return {
        got: lock,
        end: async () => await (await lock)!.release(),
      };
    },
  };
}
