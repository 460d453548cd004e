/**
 * Runs every benchmark side by side with its peers and writes
 * bench/RESULTS.md and bench/charts/.
 *
 * ```sh
 * deno task bench [--quick] [NAME…]
 * ```
 *
 * With names, such as `handover`, only those run, and replace their sections.
 * `--quick` takes a minute or two, prints and writes nothing.
 *
 * @module
 */

import { readArguments } from "../tools/arguments.ts";
import { measureContention } from "./contention.ts";
import { measureEtcd } from "./etcd.ts";
import { measureHandover } from "./handover.ts";
import { measureInspection } from "./inspection_report.ts";
import { measurePostgres } from "./postgres.ts";
import { measureRecordLocks } from "./record_lock.ts";
import { measureStartup } from "./startup.ts";
import {
  capture,
  drawChart,
  formatReport,
  type Peers,
  type Report,
  repositoryPath,
} from "./support.ts";
import { measureTrace } from "./trace.ts";
import { measureUncontended } from "./uncontended.ts";
import { measureWaiting } from "./waiting_cost.ts";

const BENCHMARKS: Record<string, (peers: Peers) => Promise<Report>> = {
  uncontended: measureUncontended,
  records: measureRecordLocks,
  handover: measureHandover,
  contention: measureContention,
  startup: measureStartup,
  inspection: measureInspection,
  waiting: measureWaiting,
  postgres: measurePostgres,
  etcd: measureEtcd,
  trace: measureTrace,
};

const NPM_PEERS = ["fs-ext", "proper-lockfile", "etcd3", "advisory-lock"];

async function preparePeers(directory: string, quick: boolean): Promise<Peers> {
  const absent: string[] = [];
  const attempt = async (name: string, prepare: () => Promise<string>) => {
    try {
      return await prepare();
    } catch (error) {
      const reason = error instanceof Error ? error.message : `${error}`;
      absent.push(`${name}: ${reason.split("\n")[0]}`);
      return undefined;
    }
  };
  const floor = `${directory}/floor`;
  await capture({
    command: "cc",
    args: ["-O2", "-o", floor, repositoryPath("bench/peers/floor.c")],
  });
  const npm: string[] = [];
  for (const name of NPM_PEERS) {
    await attempt(`npm ${name}`, async () => {
      const args = ["install", "--silent", "--no-save", "--prefix", directory];
      const all = [...npm, name];
      await capture({ command: "npm", args: [...args, ...all] });
      npm.push(name);
      return name;
    });
  }
  const pythonPath = await attempt("Python filelock", async () => {
    await capture({
      command: "sh",
      args: [
        "-c",
        'cd "$0" && apt-get download -q python3-filelock && ' +
        "dpkg -x python3-filelock_*.deb python",
        directory,
      ],
    });
    return `${directory}/python/usr/lib/python3/dist-packages`;
  });
  const nodePath = npm.length > 0 ? `${directory}/node_modules` : undefined;
  return { directory, floor, npm, nodePath, pythonPath, absent, quick };
}

/** The machine, as far as it matters for the figures. */
async function describeMachine(directory: string): Promise<string> {
  const cpu = /^model name\s*:\s*(.*)$/m.exec(
    Deno.readTextFileSync("/proc/cpuinfo"),
  )?.[1] ?? Deno.build.arch;
  const { total } = Deno.systemMemoryInfo();
  const filesystem = (await capture({
    command: "stat",
    args: ["-f", "-c", "%T", directory],
  })).trim();
  const load = Deno.loadavg()[0]!.toFixed(1);
  return `${navigator.hardwareConcurrency} CPUs (${cpu}), ` +
    `${(total / 2 ** 30).toFixed(0)} GB, Linux ${
      Deno.osRelease().split("-")[0]
    }, ` +
    `lock files on ${filesystem}, Deno ${Deno.version.deno}. ` +
    `Load average at the start: ${load}.`;
}

const RESULTS = repositoryPath("bench/RESULTS.md");

async function formatResults(): Promise<void> {
  const args = ["fmt", "--quiet", RESULTS];
  await capture({ command: Deno.execPath(), args });
}

function today(): string {
  return new Date().toISOString().slice(0, 10);
}

/** Puts sections in the place of those with the same heading. */
function replaceSections(sections: readonly string[]): void {
  const heading = (text: string) => text.slice(0, text.indexOf("\n"));
  const parts = Deno.readTextFileSync(RESULTS).split(/^(?=## )/m);
  for (const section of sections) {
    const at = parts.findIndex((part) => heading(part) === heading(section));
    if (at >= 0) parts[at] = section;
    // A new one comes before the notes, which are the last.
    else parts.splice(-1, 0, section);
  }
  Deno.writeTextFileSync(RESULTS, parts.join(""));
}

async function main(args: readonly string[]): Promise<void> {
  const { switches: { quick }, operands: names } = readArguments(
    args,
    Infinity,
    "quick",
  );
  const unknown = names.find((name) => !Object.hasOwn(BENCHMARKS, name));
  if (unknown !== undefined) {
    console.error(
      `no benchmark "${unknown}"; there are ${Object.keys(BENCHMARKS)}`,
    );
    Deno.exit(64);
  }
  const directory = Deno.makeTempDirSync({ prefix: "holdfast-bench-" });
  try {
    const machine = await describeMachine(directory);
    console.error("preparing peers");
    const peers = await preparePeers(directory, quick);
    const sections: string[] = [];
    const failed: string[] = [];
    for (const [name, measure] of Object.entries(BENCHMARKS)) {
      if (names.length > 0 && !names.includes(name)) continue;
      console.error(name);
      const start = performance.now();
      try {
        const report = await measure(peers);
        sections.push(formatReport(report));
        if (!quick && report.chart !== undefined) {
          Deno.writeTextFileSync(
            repositoryPath(`bench/charts/${report.chart}.svg`),
            drawChart(report),
          );
        }
      } catch (error) {
        // Minutes of figures aren't thrown away for one that is missing.
        failed.push(name);
        sections.push(`## ${name}\n\nFailed: ${error}\n`);
      }
      console.log(sections.at(-1));
      console.error(`${((performance.now() - start) / 1000).toFixed(0)} s`);
    }
    if (failed.length > 0) Deno.exitCode = 1;
    if (quick) return;
    const notes = Deno.readTextFileSync(repositoryPath("bench/NOTES.md"));
    if (names.length > 0) {
      const note = `Measured again on ${today()}. ${machine}`;
      replaceSections([
        ...sections.map((section) => `${section}\n${note}\n\n`),
        notes,
      ]);
      await formatResults();
      return;
    }
    const absent = peers.absent.map((line) => `- absent: ${line}`);
    Deno.writeTextFileSync(
      RESULTS,
      [
        "# Benchmark results",
        "",
        `Written by \`deno task bench\` on ${today()}. ${machine}`,
        "",
        ...absent,
        ...(absent.length > 0 ? [""] : []),
        ...sections,
        notes,
      ].join("\n"),
    );
    await formatResults();
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

if (import.meta.main) await main(Deno.args);
