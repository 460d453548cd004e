/**
 * How long it takes to list many locks: `holdfast locks --json` beside
 * `lslocks -J`, with 500 to 100,000 locks held.
 *
 * ```sh
 * deno run -A bench/inspection.ts [--json] [COUNT…]
 * ```
 *
 * @module
 */

import { fromFileUrl } from "@std/path/from-file-url";

const MAIN = fromFileUrl(new URL("../cli/main.ts", import.meta.url));
const CONFIG = fromFileUrl(new URL("../deno.json", import.meta.url));

/** lslocks is quadratic: more than this is not waited for. */
const LSLOCKS_LIMIT_MS = 60_000;
/** A run that takes longer hangs. */
const OWN_LIMIT_MS = 600_000;
const LSLOCKS_COUNTS = [500, 1_000, 2_000, 10_000];
const COUNTS = [500, 1_000, 2_000, 10_000, 100_000];
const RUNS = 3;

/**
 * How locks are spread. `ranges`: POSIX locks, a thousand ranges a file;
 * `files`: flocks, each on a file and a descriptor of its own.
 */
type Shape = "ranges" | "files";

/** Takes whole-file flocks, or POSIX locks on ranges, and waits. */
const HOLDER = `
import fcntl, os, sys
directory, first, files, ranges = sys.argv[1], *map(int, sys.argv[2:5])
for i in range(first, first + files):
    f = os.open(f"{directory}/{i}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    if ranges == 1:
        fcntl.flock(f, fcntl.LOCK_EX)
    else:
        for j in range(ranges):
            fcntl.lockf(f, fcntl.LOCK_EX, 1, 2 * j)
print("ready", flush=True)
sys.stdin.read()
`;

const RANGES_A_FILE = 1000;
const FILES_A_PROCESS = 900;

class Holders implements AsyncDisposable {
  readonly #directory = Deno.makeTempDirSync({ prefix: "holdfast-bench-" });
  readonly #children: Deno.ChildProcess[] = [];

  async hold(count: number, shape: Shape): Promise<void> {
    const ranges = shape === "files" ? 1 : Math.min(count, RANGES_A_FILE);
    const files = count / ranges;
    for (let first = 0; first < files; first += FILES_A_PROCESS) {
      const some = Math.min(FILES_A_PROCESS, files - first);
      const child = new Deno.Command("python3", {
        args: [
          "-c",
          HOLDER,
          this.#directory,
          ...[first, some, ranges].map(String),
        ],
        stdin: "piped",
        stdout: "piped",
      }).spawn();
      this.#children.push(child);
      const reader = child.stdout.getReader();
      const { done } = await reader.read();
      reader.releaseLock();
      if (done) throw new Error("a holder could not take its locks");
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) {
      await child.stdin.close();
      await child.stdout.cancel();
      await child.status;
    }
    Deno.removeSync(this.#directory, { recursive: true });
  }
}

interface Measurement {
  tool: "holdfast" | "lslocks";
  shape: Shape;
  locks: number;
  /** Median; of lslocks a single run. */
  ms: number;
  /** Whether it was ended before it was done. */
  capped: boolean;
  /** Most memory resident. */
  rssMegabytes: number | undefined;
}

/** Runs a command, and how much memory it took at most. */
async function measure(
  command: string,
  args: string[],
  limitMs: number,
): Promise<{ ms: number; capped: boolean; rssMegabytes: number | undefined }> {
  const start = performance.now();
  // Nothing but this tells the peak of a child that has ended: `wait4` counts
  // its ru_maxrss, which python hands out.
  const child = new Deno.Command("python3", {
    args: [
      "-c",
      "import resource, subprocess, sys, time\n" +
      "start = time.monotonic()\n" +
      "child = subprocess.Popen(sys.argv[2:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\n" +
      "try:\n    child.wait(float(sys.argv[1]))\n    capped = 0\n" +
      "except subprocess.TimeoutExpired:\n    child.kill(); child.wait(); capped = 1\n" +
      "print(time.monotonic() - start, capped, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)",
      String(limitMs / 1000),
      command,
      ...args,
    ],
    stdin: "null",
  });
  const { stdout, success } = await child.output();
  if (!success) throw new Error(`could not run ${command}`);
  const [seconds, capped, kilobytes] = new TextDecoder().decode(stdout)
    .split(" ").map(Number);
  return {
    ms: (seconds ?? (performance.now() - start) / 1000) * 1000,
    capped: capped === 1,
    rssMegabytes: kilobytes === undefined ? undefined : kilobytes / 1024,
  };
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

async function measureAll(counts: number[]): Promise<Measurement[]> {
  const hasLslocks = await new Deno.Command("lslocks", { args: ["-V"] })
    .output().then(({ success }) => success, () => false);
  const found: Measurement[] = [];
  for (const shape of ["ranges", "files"] as const) {
    for (const locks of counts) {
      await using holders = new Holders();
      await holders.hold(locks, shape);
      const runs = [];
      for (let run = 0; run < RUNS; run++) {
        runs.push(
          await measure(Deno.execPath(), [
            "run",
            "-A",
            "--quiet",
            "--config",
            CONFIG,
            MAIN,
            "locks",
            "--json",
          ], OWN_LIMIT_MS),
        );
      }
      found.push({
        tool: "holdfast",
        shape,
        locks,
        ms: median(runs.map(({ ms }) => ms)),
        capped: false,
        rssMegabytes: Math.max(...runs.map((run) => run.rssMegabytes ?? 0)),
      });
      if (!hasLslocks || !LSLOCKS_COUNTS.includes(locks)) continue;
      const result = await measure("lslocks", ["-J"], LSLOCKS_LIMIT_MS);
      found.push({ tool: "lslocks", shape, locks, ...result });
    }
  }
  return found;
}

function printTable(found: readonly Measurement[]): void {
  console.log("shape    locks  holdfast        lslocks -J   times   memory");
  for (const { tool, shape, locks, ms, rssMegabytes } of found) {
    if (tool !== "holdfast") continue;
    const other = found.find((one) =>
      one.tool === "lslocks" && one.shape === shape && one.locks === locks
    );
    const sign = other?.capped ? ">" : " ";
    console.log(
      shape.padEnd(7),
      String(locks).padStart(6),
      `${ms.toFixed(0)} ms`.padStart(9),
      (other === undefined ? "-" : `${sign}${other.ms.toFixed(0)} ms`)
        .padStart(17),
      (other === undefined ? "-" : `${sign}${(other.ms / ms).toFixed(1)}`)
        .padStart(7),
      `${rssMegabytes?.toFixed(0)} MB`.padStart(8),
    );
  }
}

if (import.meta.main) {
  const asJson = Deno.args.includes("--json");
  const counts = Deno.args.filter((word) => /^\d+$/.test(word)).map(Number);
  const found = await measureAll(counts.length > 0 ? counts : COUNTS);
  if (!asJson) printTable(found);
  console.log(JSON.stringify({ schema: 1, results: found }));
}
