/**
 * Every kind of lock at once, while processes are killed, ended, stopped and
 * continued, waits aborted and timed out, lock files removed and renamed,
 * others collect lock files, and the disk is full now and then.
 */
import { assert, assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path/from-file-url";
import { STRESS } from "../patterns/support/workers.ts";
import { HelperProcess } from "../support/helper_process.ts";
import { needsMounts, PrivateMounts } from "../support/private_mounts.ts";
import { TempDir } from "../support/temp_dir.ts";

const WORKER = fromFileUrl(new URL("./soak_worker.ts", import.meta.url));
const CONFIG = fromFileUrl(new URL("../../deno.json", import.meta.url));
const WORKERS = 5;
const BASE_MS = 8_000;
const guard = needsMounts("dd");

function below(count: number): number {
  return Math.floor(Math.random() * count);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** What the ledgers say, and which lines the files must and may have. */
function readLedgers(directory: string) {
  const rounds: Record<string, Record<string, number>> = {};
  const faults: string[] = [];
  const promised: Record<string, Set<string>> = {};
  const possible: Record<string, Set<string>> = {};
  for (const { name } of Deno.readDirSync(directory)) {
    if (!name.startsWith("ledger")) continue;
    const text = Deno.readTextFileSync(`${directory}/${name}`);
    for (const line of text.split("\n").filter((line) => line !== "")) {
      const [outcome, kind, id] = line.split(" ") as [string, string, string];
      const row = rounds[kind] ??= {};
      row[outcome] = (row[outcome] ?? 0) + 1;
      if (outcome === "fault") faults.push(line);
      if (outcome === "begin") (possible[kind] ??= new Set()).add(id);
      if (outcome === "done") (promised[kind] ??= new Set()).add(id);
    }
  }
  return { rounds, faults, promised, possible };
}

/** Which promised lines a text lacks, and which it has that it may not. */
function compareLines(
  text: string,
  promised: ReadonlySet<string> = new Set(),
  possible: ReadonlySet<string> = new Set(),
) {
  const lines = text.split("\n").filter((line) => line !== "");
  const found = new Set(lines);
  return {
    lost: [...promised].filter((id) => !found.has(id)),
    foreign: lines.filter((line) => !possible.has(line)),
    twice: lines.length - found.size,
  };
}

Deno.test({
  name: "a soak of every kind of lock: nobody inside twice, nothing lost, " +
    "nothing left" + guard.suffix,
  ignore: guard.ignore,
  fn: async () => {
    using directory = new TempDir();
    const disk = directory.join("disk");
    Deno.mkdirSync(disk);
    await using mounts = await PrivateMounts.create(
      directory.path,
      "mount -t tmpfs -o size=4m,mode=700 tmpfs disk",
    );
    let started = 0;
    const start = () =>
      HelperProcess.spawn(
        "nsenter",
        mounts.enter(
          Deno.execPath(),
          ...["run", "-A", "--no-check", "-q", "--config", CONFIG, WORKER],
          ...[disk, directory.path, directory.join(`ledger${started++}`)],
        ),
      );
    const workers = Array.from({ length: WORKERS }, start);
    const done: Record<string, number> = {};
    const count = (what: string) => done[what] = (done[what] ?? 0) + 1;
    const end = performance.now() + BASE_MS * STRESS;
    try {
      while (performance.now() < end) {
        await pause(20 + below(80));
        const index = below(workers.length);
        const worker = workers[index]!;
        const chance = Math.random();
        if (chance < 0.1) {
          const signal = chance < 0.05 ? "SIGKILL" : "SIGTERM";
          worker.kill(signal);
          count(signal);
          await worker[Symbol.asyncDispose]();
          workers[index] = start();
        } else if (chance < 0.15) {
          // Success is a disk that got full.
          await mounts.output("dd", ["if=/dev/zero", `of=${disk}/fill`]);
          await pause(below(50));
          await mounts.output("rm", [`${disk}/fill`]);
          count("full disk");
        } else {
          worker.kill("SIGSTOP");
          await pause(below(60));
          worker.kill("SIGCONT");
          count("SIGSTOP");
        }
      }
      const left = await Promise.all(workers.map(async (worker) => {
        const ended = worker.finish();
        let line: string | undefined;
        let last: string | undefined;
        while ((line = await worker.nextLine()) !== undefined) last = line;
        assert((await ended).success, "a worker failed");
        return JSON.parse(last!);
      }));
      const read = async (name: string) =>
        new TextDecoder().decode(
          (await mounts.output("cat", [`${disk}/${name}`])).stdout,
        );
      const { rounds, faults, promised, possible } = readLedgers(
        directory.path,
      );
      const files = {
        transform: compareLines(
          await read("transformed"),
          promised.transform,
          possible.transform,
        ),
        append: compareLines(
          await read("appended"),
          promised.append,
          possible.append,
        ),
      };
      const report = Deno.env.get("HOLDFAST_SOAK_REPORT");
      if (report !== undefined) {
        const listing = await mounts.output("find", [
          disk,
          "-not",
          "-path",
          `${disk}/cache/*`,
        ]);
        Deno.writeTextFileSync(
          report,
          JSON.stringify(
            {
              rounds,
              done,
              faults,
              files,
              left,
              started,
              listing: new TextDecoder().decode(listing.stdout).split("\n"),
            },
            null,
            1,
          ),
        );
      }
      assertEquals(faults, []);
      const whole = { lost: [], foreign: [], twice: 0 };
      assertEquals(files, { transform: whole, append: whole });
      assertEquals(
        left,
        left.map(() => ({ descriptors: [], threads: 0 })),
      );
    } finally {
      for (const worker of workers) await worker[Symbol.asyncDispose]();
    }
  },
});
