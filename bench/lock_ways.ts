/** What the benchmarks of servers that keep locks have in common. */

import { median, type Report } from "./support.ts";

/** One way to take a lock of a server. */
export interface Way {
  readonly name: string;
  /** Takes the lock and releases it. */
  round(): Promise<unknown>;
  /** Waits; the result is there when it waits or is about to. */
  wait(): Wait | Promise<Wait>;
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
      handovers[i]!.push(await handOver(holder, way));
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
