import {
  capture,
  Dialogue,
  holdfast,
  type Invocation,
  median,
  type Peers,
  type Report,
  repositoryPath,
} from "./support.ts";

/** Benchmark 4: what a command under a lock costs beyond the command. */
export async function measureStartup(peers: Peers): Promise<Report> {
  const rounds = peers.quick ? 5 : 30;
  const path = `${peers.directory}/startup.lock`;
  const empty = `${peers.directory}/empty.ts`;
  Deno.writeTextFileSync(empty, "");
  const bundle = `${peers.directory}/holdfast.js`;
  await capture({
    command: Deno.execPath(),
    args: ["run", "-A", "--quiet", repositoryPath("tools/bundle.ts"), bundle],
  });
  const bundled = (...args: string[]) => ({
    command: Deno.execPath(),
    args: ["run", "-A", "--quiet", "--no-config", bundle, ...args],
  });
  const entries: [string, (command: string[]) => Invocation | undefined][] = [
    ["empty Deno script", () => ({
      command: Deno.execPath(),
      args: ["run", "-A", "--quiet", empty],
    })],
    ["holdfast run", (command) => bundled("run", path, "--", ...command)],
    [
      "holdfast run --exec",
      (command) => bundled("run", "--exec", path, "--", ...command),
    ],
    ["holdfast flock", (command) => bundled("flock", path, ...command)],
    [
      "holdfast run, from source",
      (command) => holdfast("run", path, "--", ...command),
    ],
    ["flock(1)", (command) => ({ command: "flock", args: [path, ...command] })],
  ];
  const samples = entries.map((): number[] => []);
  const absent = new Set<number>();
  for (let round = 0; round <= rounds; round++) {
    for (const [i, [, invoke]] of entries.entries()) {
      if (absent.has(i)) continue;
      const start = performance.now();
      try {
        await capture(invoke(["true"])!);
      } catch {
        absent.add(i);
        continue;
      }
      // The first round warms the caches.
      if (round > 0) samples[i]!.push(performance.now() - start);
    }
  }
  const floor = median(samples[0]!);
  const rows = [];
  for (const [i, [name, invoke]] of entries.entries()) {
    if (absent.has(i)) {
      rows.push({ name, values: [undefined, undefined, undefined] });
      continue;
    }
    const ms = median(samples[i]!);
    const memory = i === 0
      ? undefined
      : await residentMegabytes(invoke(["sh", "-c", "echo ready; read -r _"])!);
    rows.push({ name, values: [ms, ms / floor, memory] });
  }
  return {
    title: "Command line start-up",
    method: "Running `true` under a free lock, from start to end, median of " +
      `${rounds}; and the memory resident in all processes while a shell ` +
      "waits under the lock. holdfast is the bundle that `bin/`, npm and the " +
      "binary start, unless said otherwise.",
    columns: ["ms", "times an empty script", "resident, MB"],
    rows,
    chartColumn: 0,
    chart: "startup",
  };
}

async function residentMegabytes(invocation: Invocation): Promise<number> {
  await using process = new Dialogue(invocation);
  await process.hear();
  const megabytes = treeResident(process.pid);
  // The shell ends by itself: what supervises it could not end it if killed.
  await process.say("");
  return megabytes;
}

function treeResident(pid: number): number {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  const own = Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0) / 1024;
  let sum = own;
  for (const { name } of Deno.readDirSync(`/proc/${pid}/task`)) {
    const children = Deno.readTextFileSync(
      `/proc/${pid}/task/${name}/children`,
    ).trim();
    for (const child of children.split(" ").filter(Boolean)) {
      sum += treeResident(Number(child));
    }
  }
  return sum;
}
