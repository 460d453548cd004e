import {
  capture,
  denoPeer,
  median,
  nodePeer,
  type Peers,
  pythonPeer,
  type Report,
} from "./support.ts";

/** Benchmark 1: taking and releasing a lock that nobody else wants. */
export async function measureUncontended(peers: Peers): Promise<Report> {
  const { directory, quick } = peers;
  const count = quick ? 20_000 : 100_000;
  const rounds = quick ? 3 : 7;
  const samples = new Map<string, number[]>();
  const path = `${directory}/uncontended.lock`;
  const c = { command: peers.floor, args: ["uncontended", path, `${count}`] };
  const invocations = [
    c,
    denoPeer("acquire", "uncontended", path, `${count}`),
    nodePeer(peers, "fs-ext", "uncontended", path, `${count / 10}`),
    nodePeer(peers, "proper-lockfile", "uncontended", path, `${count / 50}`),
    pythonPeer(peers, "uncontended", `${path}.py`, `${count / 10}`),
  ];
  for (let i = 0; i < rounds; i++) {
    for (const invocation of invocations) {
      if (invocation === undefined) continue;
      const prefix = invocation === c ? "C " : "";
      for (const line of (await capture(invocation)).trim().split("\n")) {
        const { name, ns } = JSON.parse(line) as { name: string; ns: number };
        const key = prefix + name;
        samples.set(key, [...samples.get(key) ?? [], ns]);
      }
    }
  }
  const floors = ["C descriptor", "C path"].map((key) =>
    median(samples.get(key)!)
  );
  const rows = NAMES.flatMap(([key, name, floor]) => {
    const values = samples.get(key);
    if (values === undefined) return [];
    const ns = median(values);
    return [{ name, values: [ns / 1000, ns / floors[floor]!] }];
  });
  return {
    title: "Uncontended take and release",
    method: `One process, one file, ${count.toLocaleString("en")} times ` +
      `(fewer for the slow ones), median of ${rounds} runs. "On a descriptor" ` +
      "locks and unlocks an open file; the others open and close it too. " +
      "The C program with checks makes the same system calls as `tryAcquire`.",
    columns: ["µs", "times the C floor"],
    rows,
    chartColumn: 0,
    chart: "uncontended",
  };
}

const NAMES: [key: string, name: string, floor: 0 | 1][] = [
  ["C descriptor", "C, on a descriptor (floor)", 0],
  ["descriptor", "holdfast tryFlockFd, on a descriptor", 0],
  ["fsfile descriptor", "Deno.FsFile, on a descriptor", 0],
  ["C path", "C: open, flock, close (floor)", 1],
  ["path", "holdfast: open, tryFlockFd, close", 1],
  ["fsfile path", "Deno.FsFile: open, lock, close", 1],
  ["C checked", "C with all checks", 1],
  ["tryFlock", "holdfast tryFlock", 1],
  ["tryAcquire", "holdfast tryAcquire", 1],
  ["fs-ext", "Node fs-ext flockSync", 1],
  ["filelock", "Python filelock", 1],
  ["proper-lockfile", "Node proper-lockfile lockSync", 1],
];
