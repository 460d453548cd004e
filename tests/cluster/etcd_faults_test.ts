/**
 * Three servers and four clients, killed and stopped at random: nobody shares
 * the lock but clients that were stopped beyond their lease, and what they do
 * late is refused for its fence.
 */
import { assert, assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path/from-file-url";
import { bootTimeMs } from "../../lib/sys/boot_clock.ts";
import { ETCD, EtcdCluster } from "../support/etcd.ts";
import { HelperProcess } from "../support/helper_process.ts";
import type { SectionLine } from "../support/section_client.ts";
import { SectionHistory } from "../support/section_history.ts";
import { until } from "../support/until.ts";

const CLIENT = fromFileUrl(
  new URL("../support/section_client.ts", import.meta.url),
);
const CONFIG = fromFileUrl(new URL("../../deno.json", import.meta.url));
const CLIENTS = 4;
/** A fault is over, and the lock goes from hand to hand again. */
const SECTIONS_BETWEEN_FAULTS = 25;
const SECTIONS = 100 * Number(Deno.env.get("HOLDFAST_STRESS") || 1);

/** Accepts a write unless it has seen a higher fence. */
class FencedResource implements AsyncDisposable {
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly accepted: bigint[] = [];
  refused = 0;
  #highest = 0n;

  constructor() {
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      async (request) => {
        const fence = BigInt(await request.text());
        if (fence < this.#highest) {
          this.refused++;
          return new Response(null, { status: 409 });
        }
        this.#highest = fence;
        this.accepted.push(fence);
        return new Response(null);
      },
    );
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}/`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

/** A client that is started anew when it has been killed. */
class Client implements AsyncDisposable {
  readonly #number: number;
  readonly #args: string[];
  readonly #history: SectionHistory;
  #process!: HelperProcess;
  #read = Promise.resolve();

  constructor(number: number, args: string[], history: SectionHistory) {
    this.#number = number;
    this.#args = args;
    this.#history = history;
    this.#start();
  }

  #start(): void {
    this.#process = HelperProcess.spawn(Deno.execPath(), [
      ...["run", "--quiet", "-A", "--no-check", "--config", CONFIG, CLIENT],
      ...this.#args,
    ]);
    this.#read = this.#readLines(this.#process);
  }

  async #readLines(process: HelperProcess): Promise<void> {
    for (;;) {
      const line = await process.nextLine();
      if (line === undefined) return;
      // The last line of one that was killed may be cut off.
      if (!line.endsWith("}")) continue;
      this.#history.add(this.#number, JSON.parse(line) as SectionLine);
    }
  }

  async killAndRestart(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.status;
    const at = bootTimeMs();
    await this.#read;
    this.#history.killed(this.#number, at);
    await this.#process[Symbol.asyncDispose]();
    this.#start();
  }

  async pause(ms: number): Promise<void> {
    const from = bootTimeMs();
    this.#process.kill("SIGSTOP");
    await sleep(ms);
    this.#process.kill("SIGCONT");
    this.#history.paused({ client: this.#number, from, to: bootTimeMs() });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.finish();
    await this.#read;
    await this.#process[Symbol.asyncDispose]();
  }
}

/** The length of a fault, which nothing waits for as a sign. */
function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function oneOf<T>(items: readonly T[]): T {
  return items[Math.floor(Math.random() * items.length)]!;
}

async function disturb(
  cluster: EtcdCluster,
  clients: readonly Client[],
): Promise<string> {
  const leader = cluster.servers[Math.max(0, await cluster.leader())]!;
  const dice = Math.random();
  if (dice < 0.25) {
    await leader.kill();
    await sleep(Math.random() * 1500);
    await leader.up();
    return "leader killed";
  }
  if (dice < 0.4) {
    const server = oneOf(cluster.servers);
    await server.kill();
    await sleep(Math.random() * 1500);
    await server.up();
    return "server killed";
  }
  if (dice < 0.6) {
    const server = oneOf([leader, ...cluster.servers]);
    server.signal("SIGSTOP");
    await sleep(500 + Math.random() * 4000);
    server.signal("SIGCONT");
    return "server stopped";
  }
  if (dice < 0.65) {
    const [first, second] = cluster.servers.toSorted(() => Math.random() - 0.5);
    first!.signal("SIGSTOP");
    second!.signal("SIGSTOP");
    await sleep(1000 + Math.random() * 4000);
    first!.signal("SIGCONT");
    second!.signal("SIGCONT");
    return "quorum lost";
  }
  if (dice < 0.8) {
    await oneOf(clients).killAndRestart();
    return "client killed";
  }
  await oneOf(clients).pause(Math.random() * 6000);
  return "client stopped";
}

Deno.test({
  name:
    `etcd: ${SECTIONS} sections while servers and clients are killed and stopped${ETCD.suffix}`,
  ignore: ETCD.ignore,
  fn: async () => {
    await using cluster = await EtcdCluster.start();
    await using resource = new FencedResource();
    const history = new SectionHistory();
    const args = [cluster.url("section"), resource.url];
    const faults: Record<string, number> = {};
    {
      await using stack = new AsyncDisposableStack();
      const clients = Array.from(
        { length: CLIENTS },
        (_, number) => stack.use(new Client(number, args, history)),
      );
      await until(() => history.count > 0);
      while (history.count < SECTIONS) {
        const fault = await disturb(cluster, clients);
        faults[fault] = (faults[fault] ?? 0) + 1;
        const { count } = history;
        await until(() => history.count >= count + SECTIONS_BETWEEN_FAULTS);
      }
    }
    const found = history.check();
    console.log({ ...found, faults, refused: resource.refused });
    assertEquals(found.overlaps, []);
    assertEquals(found.fenceErrors, []);
    assert(found.sections >= SECTIONS);
    assertEquals(
      resource.accepted,
      resource.accepted.toSorted((a, b) => a < b ? -1 : a > b ? 1 : 0),
    );
  },
});
