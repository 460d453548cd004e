/** etcd servers of a test's own, on loopback, with their data in memory. */
import { needs } from "./programs.ts";
import { TempDir } from "./temp_dir.ts";
import { freePort } from "./free_port.ts";

/** What a test that needs etcd says when there is none. */
export const ETCD: { ignore: boolean; suffix: string } = needs(
  "etcd",
  "etcdctl",
);

/** How servers are started. */
export interface EtcdOptions {
  /** More arguments for each. */
  args?: string[];
  /** Certificates for clients; servers then speak TLS. */
  tls?: { cert: string; key: string; ca: string; askClients?: boolean };
}

const WHERE_IN_MEMORY = "/dev/shm";

/** One server. It may be killed, stopped and started again. */
export class EtcdServer implements AsyncDisposable {
  readonly port: number;
  readonly #args: string[];
  readonly #directory: TempDir;
  #child: Deno.ChildProcess | undefined;
  #stderr = Promise.resolve();
  #isTls: boolean;

  constructor(port: number, args: string[], options: EtcdOptions = {}) {
    this.port = port;
    this.#directory = new TempDir(memoryDirectory());
    this.#isTls = options.tls !== undefined;
    this.#args = [
      ...args,
      ...options.args ?? [],
      `--data-dir=${this.#directory.join("data")}`,
      "--logger=zap",
      "--log-outputs=stderr",
      ...(HAS_NO_FSYNC ? ["--unsafe-no-fsync"] : []),
      ...tlsArgs(options),
    ];
  }

  /** One server that is a cluster of its own. */
  static async start(options: EtcdOptions = {}): Promise<EtcdServer> {
    const [port, peerPort] = [freePort(), freePort()];
    const peer = `http://127.0.0.1:${peerPort}`;
    const client = clientUrl(port, options);
    const server = new EtcdServer(port, [
      `--listen-client-urls=${client}`,
      `--advertise-client-urls=${client}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=default=${peer}`,
    ], options);
    await server.up();
    return server;
  }

  /** `127.0.0.1:PORT`. */
  get endpoint(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** The URL of a lock here. */
  url(name: string): string {
    return `${this.#isTls ? "etcds" : "etcd"}://${this.endpoint}/${name}`;
  }

  /** Its process id while it runs. */
  get pid(): number {
    return this.#child!.pid;
  }

  /** Starts it, for the first time or again, and waits until it serves. */
  async up(): Promise<void> {
    this.#child = new Deno.Command("etcd", {
      args: this.#args,
      env: { PATH: Deno.env.get("PATH") ?? "/usr/bin:/bin" },
      clearEnv: true,
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const ready = Promise.withResolvers<void>();
    this.#stderr = readLog(this.#child.stderr, ready);
    await ready.promise;
  }

  /** Sends it a signal. */
  signal(name: Deno.Signal): void {
    this.#child!.kill(name);
  }

  /** Kills it as kill -9 does. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    this.#child = undefined;
    child.kill("SIGKILL");
    await child.status;
    await this.#stderr;
  }

  /** Runs etcdctl against it. */
  async ctl(...args: string[]): Promise<string> {
    return await etcdctl([this.endpoint], ...args);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    this.#directory[Symbol.dispose]();
  }
}

/** Three servers that are one cluster. */
export class EtcdCluster implements AsyncDisposable {
  readonly servers: readonly EtcdServer[];

  private constructor(servers: readonly EtcdServer[]) {
    this.servers = servers;
  }

  static async start(options: EtcdOptions = {}): Promise<EtcdCluster> {
    const nodes = [0, 1, 2].map((index) => ({
      name: `n${index}`,
      port: freePort(),
      peer: `http://127.0.0.1:${freePort()}`,
    }));
    const all = nodes.map(({ name, peer }) => `${name}=${peer}`).join(",");
    const servers = nodes.map(({ name, port, peer }) =>
      new EtcdServer(port, [
        `--name=${name}`,
        `--listen-client-urls=http://127.0.0.1:${port}`,
        `--advertise-client-urls=http://127.0.0.1:${port}`,
        `--listen-peer-urls=${peer}`,
        `--initial-advertise-peer-urls=${peer}`,
        `--initial-cluster=${all}`,
      ], options)
    );
    await Promise.all(servers.map((server) => server.up()));
    return new EtcdCluster(servers);
  }

  /** The endpoints, separated by commas. */
  get endpoints(): string {
    return this.servers.map(({ endpoint }) => endpoint).join(",");
  }

  /** The URL of a lock here. */
  url(name: string): string {
    return `etcd://${this.endpoints}/${name}`;
  }

  /** Which server leads, as they say themselves; -1 while none does. */
  async leader(): Promise<number> {
    for (const server of this.servers) {
      try {
        const answer = await fetch(
          `http://${server.endpoint}/v3/maintenance/status`,
          { method: "POST", body: "{}", signal: AbortSignal.timeout(1000) },
        );
        const { leader } = await answer.json();
        const at = await Promise.all(
          this.servers.map(async (each) => (await memberId(each)) === leader),
        );
        if (at.includes(true)) return at.indexOf(true);
      } catch {
        // That one is away.
      }
    }
    return -1;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(
      this.servers.map((server) => server[Symbol.asyncDispose]()),
    );
  }
}

async function memberId(server: EtcdServer): Promise<string | undefined> {
  try {
    const answer = await fetch(
      `http://${server.endpoint}/v3/maintenance/status`,
      { method: "POST", body: "{}", signal: AbortSignal.timeout(1000) },
    );
    return (await answer.json()).header.member_id;
  } catch {
    return undefined;
  }
}

/** Runs etcdctl to its end and gives what it prints. */
export async function etcdctl(
  endpoints: readonly string[],
  ...args: string[]
): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command("etcdctl", {
    args,
    env: etcdctlEnv(endpoints),
    stdin: "null",
  }).output();
  const text = new TextDecoder().decode(stdout);
  if (code === 0) return text;
  throw new Error(
    `etcdctl ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`,
  );
}

/** The environment that leads etcdctl to some servers. */
export function etcdctlEnv(
  endpoints: readonly string[],
): Record<string, string> {
  return { ETCDCTL_API: "3", ETCDCTL_ENDPOINTS: endpoints.join(",") };
}

/** A flag of etcd 3.5 and later that older ones refuse. */
const HAS_NO_FSYNC = !ETCD.ignore && etcdHelp().includes("--unsafe-no-fsync");

function etcdHelp(): string {
  const { stdout, stderr } = new Deno.Command("etcd", { args: ["--help"] })
    .outputSync();
  return new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
}

function memoryDirectory(): string | undefined {
  try {
    return Deno.statSync(WHERE_IN_MEMORY).isDirectory
      ? WHERE_IN_MEMORY
      : undefined;
  } catch {
    return undefined;
  }
}

function clientUrl(port: number, { tls }: EtcdOptions): string {
  return `${tls === undefined ? "http" : "https"}://127.0.0.1:${port}`;
}

function tlsArgs({ tls }: EtcdOptions): string[] {
  if (tls === undefined) return [];
  return [
    `--cert-file=${tls.cert}`,
    `--key-file=${tls.key}`,
    `--trusted-ca-file=${tls.ca}`,
    ...(tls.askClients ? ["--client-cert-auth"] : []),
  ];
}

/** Reads a log to its end; tells when it says that clients are served. */
async function readLog(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  ready: PromiseWithResolvers<void>,
): Promise<void> {
  let last = "";
  let text = "";
  for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
    text = (last + chunk).slice(-4000);
    last = text;
    if (/ready to serve client|serving client traffic/.test(text)) {
      ready.resolve();
    }
  }
  ready.reject(new Error(`etcd ended before it served: ${last.slice(-1000)}`));
}

/** A test of `run` with a server and a directory of its own. */
export function runEtcdTest(
  name: string,
  fn: (server: EtcdServer, directory: TempDir) => Promise<void>,
): void {
  Deno.test({
    name: `run with etcd: ${name}${ETCD.suffix}`,
    ignore: ETCD.ignore,
    fn: async () => {
      await using server = await EtcdServer.start();
      using directory = new TempDir();
      await fn(server, directory);
    },
  });
}
