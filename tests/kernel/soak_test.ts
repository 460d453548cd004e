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
import {
  compareRecords,
  readLedgers,
  soakRecord,
  WHOLE,
} from "./soak_files.ts";

const CONFIG = fromFileUrl(new URL("../../deno.json", import.meta.url));
const WORKERS = 5;
const BASE_MS = 4_000;
const guard = needsMounts("dd");

/** The command line of a script beside this. */
function script(name: string, ...args: string[]): string[] {
  const path = fromFileUrl(new URL(name, import.meta.url));
  return [
    Deno.execPath(),
    ...["run", "-A", "--no-check", "-q", "--config", CONFIG, path, ...args],
  ];
}

function below(count: number): number {
  return Math.floor(Math.random() * count);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** The last line that a process prints before it ends well. */
async function lastLine(helper: HelperProcess): Promise<string> {
  const ended = helper.finish();
  let line: string | undefined;
  let last = "";
  while ((line = await helper.nextLine()) !== undefined) last = line;
  assert((await ended).success, "a process of the soak has failed");
  return last;
}

/** Ends, stops and starts workers at random, and fills the disk. */
class Tormentor {
  readonly done: Record<string, number> = {};
  started = 0;
  readonly workers: HelperProcess[];
  readonly #mounts: PrivateMounts;
  readonly #disk: string;
  readonly #directory: TempDir;

  constructor(mounts: PrivateMounts, directory: TempDir, disk: string) {
    this.#mounts = mounts;
    this.#directory = directory;
    this.#disk = disk;
    this.workers = Array.from({ length: WORKERS }, () => this.#start());
  }

  #start(): HelperProcess {
    const ledger = this.#directory.join(`ledger${this.started++}`);
    const command = script(
      "./soak_worker.ts",
      ...[this.#disk, this.#directory.path, ledger],
    );
    return HelperProcess.spawn("nsenter", this.#mounts.enter(...command));
  }

  async torment(): Promise<void> {
    const index = below(WORKERS);
    const worker = this.workers[index]!;
    const chance = Math.random();
    if (chance < 0.1) {
      const signal = chance < 0.05 ? "SIGKILL" : "SIGTERM";
      worker.kill(signal);
      this.#count(signal);
      await worker[Symbol.asyncDispose]();
      this.workers[index] = this.#start();
    } else if (chance < 0.15) {
      // Success is a disk that got full.
      const fill = `${this.#disk}/fill`;
      await this.#mounts.output("dd", ["if=/dev/zero", `of=${fill}`, "bs=64k"]);
      await pause(below(50));
      await this.#mounts.output("rm", [fill]);
      this.#count("full disk");
    } else {
      worker.kill("SIGSTOP");
      await pause(below(60));
      worker.kill("SIGCONT");
      this.#count("SIGSTOP");
    }
  }

  #count(what: string): void {
    this.done[what] = (this.done[what] ?? 0) + 1;
  }
}

Deno.test({
  name: "a soak of every kind of lock: nobody inside twice, nothing lost, " +
    "nothing left" + guard.suffix,
  ignore: guard.ignore,
  timeout: 300_000 + 2 * BASE_MS * STRESS,
  fn: async () => {
    using directory = new TempDir();
    const disk = directory.join("disk");
    Deno.mkdirSync(disk);
    await using mounts = await PrivateMounts.create(
      directory.path,
      "mount -t tmpfs -o size=4m,mode=700 tmpfs disk",
    );
    const tormentor = new Tormentor(mounts, directory, disk);
    const { workers } = tormentor;
    const end = performance.now() + BASE_MS * STRESS;
    try {
      while (performance.now() < end) {
        await pause(20 + below(80));
        await tormentor.torment();
      }
      const left = (await Promise.all(workers.map(lastLine)))
        .map((line) => JSON.parse(line));
      const read = async (name: string) =>
        new TextDecoder().decode(
          (await mounts.output("cat", [`${disk}/${name}`])).stdout,
        );
      const { rounds, faults, done, begun } = readLedgers(directory.path);
      let appended = await read("appended");
      for (const { name } of Deno.readDirSync(directory.path)) {
        if (!name.startsWith("appended.")) continue;
        appended += Deno.readTextFileSync(directory.join(name));
      }
      const records = (ids: Set<string> = new Set()) =>
        new Set([...ids].map(soakRecord));
      const files = {
        transform: compareRecords(
          await read("transformed"),
          done.transform,
          begun.transform,
        ),
        append: compareRecords(
          appended,
          records(done.append),
          records(begun.append),
        ),
      };
      await using tidier = HelperProcess.spawn(
        "nsenter",
        mounts.enter(...script("./soak_tidy.ts", disk)),
      );
      const tidied = JSON.parse(await lastLine(tidier));
      const report = Deno.env.get("HOLDFAST_SOAK_REPORT");
      if (report !== undefined) {
        const { done, started } = tormentor;
        Deno.writeTextFileSync(
          report,
          JSON.stringify(
            { rounds, done, started, faults, files, left, tidied },
            null,
            1,
          ),
        );
      }
      assertEquals(faults, []);
      assertEquals(files, { transform: WHOLE, append: WHOLE });
      assertEquals(
        left,
        left.map(() => ({ descriptors: [], threads: 0 })),
      );
      assertEquals(tidied.left, [
        ".link.last",
        ".link.last2",
        "appended",
        "transformed",
      ]);
    } finally {
      for (const worker of workers) await worker[Symbol.asyncDispose]();
    }
  },
});
