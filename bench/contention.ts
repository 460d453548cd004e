import {
  denoPeer,
  Dialogue,
  type Invocation,
  median,
  nodePeer,
  type Peers,
  pythonPeer,
  type Report,
  repositoryPath,
} from "./support.ts";

/** A peer that needs longer is ended. */
const LIMIT_MS = 45_000;

/** Benchmark 3: many processes, each wanting the same lock many times. */
export async function measureContention(peers: Peers): Promise<Report> {
  const processes = peers.quick ? 16 : 64;
  const sections = peers.quick ? 20 : 200;
  const path = `${peers.directory}/contention.lock`;
  const work = ["sections", path, `${sections}`];
  const script = repositoryPath("bench/peers/flock1.sh");
  const entries: [string, Invocation | undefined][] = [
    ["C, blocked in the kernel (floor)", {
      command: peers.floor,
      args: work,
    }],
    ["flock(1), a process per section", {
      command: "bash",
      args: [script, path, `${sections}`, peers.floor, "section"],
    }],
    ["holdfast blockFlock", denoPeer("block", ...work)],
    ["holdfast acquire", denoPeer("acquire", ...work)],
    ["Deno.FsFile.lockSync", denoPeer("fsfileSync", ...work)],
    ["Deno.FsFile.lock", denoPeer("fsfile", ...work)],
    ["Node fs-ext flock", nodePeer(peers, "fs-ext", ...work)],
    [
      "Python filelock",
      pythonPeer(peers, "sections", `${path}.py`, `${sections}`),
    ],
    ["Node proper-lockfile", nodePeer(peers, "proper-lockfile", ...work)],
  ];
  const rows = [];
  for (const [name, invocation] of entries) {
    if (invocation === undefined) continue;
    rows.push({ name, values: await contend(invocation, processes) });
  }
  return {
    title: "Contention",
    method: `${processes} processes, each taking and releasing one lock ` +
      `${sections} times and holding it for 0.1 ms, started together once all ` +
      "were ready. Fairness is the longest wait of all over the median wait; " +
      "CPU is the sum over the processes. A peer that isn't through after " +
      `${LIMIT_MS / 1000} s is ended and has no figures.`,
    columns: ["total, ms", "worst wait / median", "CPU, ms"],
    rows,
    chartColumn: 0,
    chart: "contention",
  };
}

interface Outcome {
  worst: number;
  median: number;
  cpu: number;
}

async function contend(
  invocation: Invocation,
  processes: number,
): Promise<(number | undefined)[]> {
  const all = Array.from(
    { length: processes },
    () => new Dialogue(invocation),
  );
  const late = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => late.resolve(undefined), LIMIT_MS);
  try {
    for (const one of all) await one.hear();
    const start = performance.now();
    for (const one of all) await one.say("go");
    const lines = Promise.all(all.map((one) => one.hear()));
    lines.catch(() => {});
    const heard = await Promise.race([lines, late.promise]);
    const totalMs = performance.now() - start;
    if (heard === undefined) return [undefined, undefined, undefined];
    const outcomes = heard.map((line) => JSON.parse(line) as Outcome);
    const worst = Math.max(...outcomes.map((one) => one.worst));
    const middle = median(outcomes.map((one) => one.median));
    const cpu = outcomes.reduce((sum, one) => sum + one.cpu, 0);
    return [totalMs, worst / middle, cpu];
  } finally {
    clearTimeout(timer);
    for (const one of all) await one[Symbol.asyncDispose]();
  }
}
