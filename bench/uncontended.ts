import {
  denoPeer,
  medianNs,
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
  const path = `${directory}/uncontended.lock`;
  const ns = await medianNs([
    ["C", {
      command: peers.floor,
      args: ["uncontended", path, `${count}`],
    }],
    ["", denoPeer("acquire", "uncontended", path, `${count}`)],
    ["", nodePeer(peers, "fs-ext", "uncontended", path, `${count / 10}`)],
    [
      "",
      nodePeer(peers, "proper-lockfile", "uncontended", path, `${count / 50}`),
    ],
    ["", pythonPeer(peers, "uncontended", `${path}.py`, `${count / 10}`)],
  ], rounds);
  const rows = NAMES.flatMap(([key, name, floor]) => {
    const value = ns.get(key);
    if (value === undefined) return [];
    return [{ name, values: [value / 1000, value / ns.get(floor)!] }];
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

const NAMES: [key: string, name: string, floor: string][] = [
  ["C descriptor", "C, on a descriptor (floor)", "C descriptor"],
  ["descriptor", "holdfast tryFlockFd, on a descriptor", "C descriptor"],
  ["fsfile descriptor", "Deno.FsFile, on a descriptor", "C descriptor"],
  ["C path", "C: open, flock, close (floor)", "C path"],
  ["path", "holdfast: open, tryFlockFd, close", "C path"],
  ["fsfile path", "Deno.FsFile: open, lock, close", "C path"],
  ["C checked", "C with all checks", "C path"],
  ["tryFlock", "holdfast tryFlock", "C path"],
  ["tryAcquire", "holdfast tryAcquire", "C path"],
  ["fs-ext", "Node fs-ext flockSync", "C path"],
  ["filelock", "Python filelock", "C path"],
  ["proper-lockfile", "Node proper-lockfile lockSync", "C path"],
];
