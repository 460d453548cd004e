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

import { readArguments } from "../tools/arguments.ts";
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
import fcntl, os, resource, sys
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
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
const FILES_A_PROCESS = 10_000;

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
  /** Processor time of that run; less noisy on a busy machine. */
  cpuMs: number;
  /** Whether it was ended before it was done. */
  capped: boolean;
  /** Most memory resident. */
  rssMegabytes: number;
}

const MEASURE = `
import json, resource, subprocess, sys, threading, time
start = time.monotonic()
child = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL,
    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
timer = threading.Timer(float(sys.argv[1]), child.kill)
timer.start()
child.wait()
ms = (time.monotonic() - start) * 1000
timer.cancel()
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({
    "ms": ms,
    "cpuMs": (used.ru_utime + used.ru_stime) * 1000,
    "capped": child.returncode < 0,
    "rssMegabytes": used.ru_maxrss / 1024,
}))
`;

/** What one run took. */
type Cost = Pick<Measurement, "ms" | "cpuMs" | "capped" | "rssMegabytes">;

/** Runs a command, and how much memory it took at most. */
async function measure(
  command: string,
  args: string[],
  limitMs: number,
): Promise<Cost> {
  // Python, for it hands out what wait4(2) tells of a child that has ended.
  const { stdout, success } = await new Deno.Command("python3", {
    args: ["-c", MEASURE, String(limitMs / 1000), command, ...args],
    stdin: "null",
  }).output();
  if (!success) throw new Error(`could not run ${command}`);
  return JSON.parse(new TextDecoder().decode(stdout));
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

/** Measures both tools with each count of locks, in both shapes. */
export async function measureAll(counts: number[]): Promise<Measurement[]> {
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
        cpuMs: median(runs.map(({ cpuMs }) => cpuMs)),
        capped: false,
        rssMegabytes: Math.max(...runs.map((run) => run.rssMegabytes)),
      });
      if (!hasLslocks || !LSLOCKS_COUNTS.includes(locks)) continue;
      const result = await measure("lslocks", ["-J"], LSLOCKS_LIMIT_MS);
      found.push({ tool: "lslocks", shape, locks, ...result });
    }
  }
  return found;
}

/**
 * How long a capped run would have taken, from the largest that wasn't: the
 * time grows with the square of the count.
 */
function extrapolate(
  found: readonly Measurement[],
  capped: Measurement,
): number | undefined {
  const known = found.findLast(({ tool, shape, locks, capped: ended }) =>
    tool === capped.tool && shape === capped.shape &&
    locks < capped.locks && !ended
  );
  return known && known.ms * (capped.locks / known.locks) ** 2;
}

function printTable(found: readonly Measurement[]): void {
  console.log(
    "shape    locks  holdfast     (cpu)        lslocks -J   times   memory",
  );
  for (const { tool, shape, locks, ms, cpuMs, rssMegabytes } of found) {
    if (tool !== "holdfast") continue;
    const other = found.find((one) =>
      one.tool === "lslocks" && one.shape === shape && one.locks === locks
    );
    const sign = other?.capped ? ">" : " ";
    const whole = other?.capped ? extrapolate(found, other) : undefined;
    const note = whole === undefined
      ? ""
      : ` ended; about ${(whole / 1000).toFixed(0)} s, ` +
        `${(whole / ms).toFixed(0)} times, going by the square`;
    console.log(
      shape.padEnd(7),
      String(locks).padStart(6),
      `${ms.toFixed(0)} ms`.padStart(9),
      `${cpuMs.toFixed(0)} ms`.padStart(9),
      (other === undefined ? "-" : `${sign}${other.ms.toFixed(0)} ms`)
        .padStart(17),
      (other === undefined ? "-" : `${sign}${(other.ms / ms).toFixed(1)}`)
        .padStart(7),
      `${rssMegabytes.toFixed(0)} MB`.padStart(8) + note,
    );
  }
}

if (import.meta.main) {
  const { switches, operands } = readArguments(Deno.args, Infinity, "json");
  const counts = operands.map(Number);
  const found = await measureAll(counts.length > 0 ? counts : COUNTS);
  if (!switches.json) printTable(found);
  console.log(JSON.stringify({ schema: 1, results: found }));
}
