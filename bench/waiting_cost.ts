import { ensureDirSync } from "@std/fs/ensure-dir";
import {
  cpuMs,
  denoPeer,
  Dialogue,
  holdfast,
  type Invocation,
  nodePeer,
  pause,
  type Peers,
  type Report,
} from "./support.ts";

const WAITERS = 100;

/** Benchmark 6: what waiting costs while nothing happens. */
export async function measureWaiting(peers: Peers): Promise<Report> {
  const windowMs = peers.quick ? 2000 : 10_000;
  const path = `${peers.directory}/idle.lock`;
  const one = (invocation: Invocation) => [invocation];
  const each = (invocation: Invocation) =>
    Array.from({ length: WAITERS }, () => invocation);
  const proper = nodePeer(peers, "proper-lockfile", "waiter", path);
  const entries: [string, Invocation[] | undefined][] = [
    [
      "flock(1), 100 processes",
      each({ command: "flock", args: [path, "true"] }),
    ],
    ["holdfast run, 100 processes", each(holdfast("run", path, "--", "true"))],
    [
      "holdfast acquire, one file",
      one(denoPeer("acquire", "idle", path, `${WAITERS}`)),
    ],
    [
      "holdfast acquire, 100 files",
      one(denoPeer("acquire", "idle-files", path, `${WAITERS}`)),
    ],
    ["Deno.FsFile.lock", one(denoPeer("fsfile", "idle", path, `${WAITERS}`))],
    ["Node proper-lockfile, 100 calls", proper && one(proper)],
  ];
  const paths = [path, ...Array.from({ length: WAITERS }, (_, i) => path + i)];
  const files = paths.map((each) =>
    Deno.openSync(each, { create: true, write: true, read: true })
  );
  for (const file of files) file.lockSync(true);
  // What proper-lockfile takes for a lock.
  ensureDirSync(`${path}.lock`);
  const future = new Date(Date.now() + 3_600_000);
  Deno.utimeSync(`${path}.lock`, future, future);
  const rows = [];
  try {
    for (const [name, invocations] of entries) {
      if (invocations === undefined) continue;
      rows.push({ name, values: [await idle(invocations, windowMs)] });
    }
  } finally {
    for (const file of files) file.close();
  }
  return {
    title: "The cost of waiting",
    method: `CPU time of ${WAITERS} waiters while the lock stays taken, over ` +
      `${
        windowMs / 1000
      } s that begin 3 s (for many processes 6 s) after their start.`,
    columns: ["% of one CPU"],
    rows,
    chartColumn: 0,
    chart: "waiting",
  };
}

async function idle(
  invocations: Invocation[],
  windowMs: number,
): Promise<number> {
  const all = invocations.map((invocation) => new Dialogue(invocation));
  try {
    if (all.length === 1) {
      await all[0]!.hear();
      await all[0]!.say(`${WAITERS}`);
    }
    await pause(all.length === 1 ? 3000 : 6000);
    const before = all.map(({ pid }) => cpuMs(pid));
    const start = performance.now();
    await pause(windowMs);
    const elapsed = performance.now() - start;
    const used = all.reduce(
      (sum, { pid }, i) => sum + cpuMs(pid) - before[i]!,
      0,
    );
    // A thread that ends meanwhile takes its time with it.
    return Math.max(0, used / elapsed * 100);
  } finally {
    for (const one of all) await one[Symbol.asyncDispose]();
  }
}
