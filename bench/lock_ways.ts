/** What the benchmarks of servers that keep locks have in common. */

import {
  Dialogue,
  median,
  type Peers,
  type Report,
  repositoryPath,
} from "./support.ts";

/** One way to take a lock of a server. */
export interface Way {
  readonly name: string;
  /** Takes the lock and releases it. */
  round(): Promise<unknown>;
  /** Waits; the result is there when it waits or is about to. */
  wait(): Wait | Promise<Wait>;
  /** Who hands the lock over where its name stands for another key. */
  readonly holder?: Holder;
}

/** A wait for the lock. */
export interface Wait {
  /** Resolves when it has the lock. */
  readonly got: Promise<unknown>;
  /** Gives it up. */
  end(): Promise<unknown>;
}

/** Somebody else, who hands the lock over. */
export interface Holder {
  take(): Promise<unknown>;
  /** Resolves when somebody waits for it. */
  awaited(): Promise<void>;
  release(): Promise<unknown>;
}

/** The columns of {@linkcode compareWays}. */
export const WAY_COLUMNS = ["take and release, ms", "hand-over, ms"];

/** Measures all ways in turn, so that noise is everybody's; medians. */
export async function compareWays(
  ways: readonly Way[],
  rounds: number,
  holder: Holder,
): Promise<Report["rows"]> {
  const takes = ways.map((): number[] => []);
  const handovers = ways.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, way] of ways.entries()) {
      const start = performance.now();
      await way.round();
      takes[i]!.push(performance.now() - start);
      handovers[i]!.push(await handOver(way.holder ?? holder, way));
    }
  }
  return ways.map(({ name }, i) => ({
    name,
    values: [median(takes[i]!), median(handovers[i]!)],
  }));
}

async function handOver(holder: Holder, way: Way): Promise<number> {
  await holder.take();
  const wait = await way.wait();
  await holder.awaited();
  const start = performance.now();
  const got = wait.got.then(() => performance.now());
  await holder.release();
  const ms = await got - start;
  await wait.end();
  return ms;
}

/** A package of npm in a process of Node; none where it is absent. */
export async function npmWays(
  peers: Peers,
  kind: string,
  server: string,
  name: string,
  holder: Holder,
): Promise<NpmWay[]> {
  if (peers.nodePath === undefined || !peers.npm.includes(kind)) return [];
  const node = new Dialogue({
    command: "node",
    args: [repositoryPath("bench/peers/lock_servers.cjs"), kind, server, name],
    env: { NODE_PATH: peers.nodePath },
  });
  await node.hear();
  return [new NpmWay(`npm ${kind}`, node, holder)];
}

class NpmWay implements Way, AsyncDisposable {
  readonly name: string;
  readonly holder: Holder;
  readonly #node: Dialogue;

  constructor(name: string, node: Dialogue, holder: Holder) {
    this.name = name;
    this.holder = holder;
    this.#node = node;
  }

  async #ask(line: string): Promise<void> {
    await this.#node.say(line);
    await this.#node.hear();
  }

  round(): Promise<void> {
    return this.#ask("round");
  }

  wait(): Wait {
    return { got: this.#ask("wait"), end: () => this.#ask("end") };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#node[Symbol.asyncDispose]();
  }
}
