/** Shared by the benchmarks: processes, numbers, tables and charts. */

import { fromFileUrl } from "@std/path/from-file-url";

/** The path of a file of this repository. */
export function repositoryPath(relative: string): string {
  return fromFileUrl(new URL(`../${relative}`, import.meta.url));
}

/** What takes part, and where it is. */
export interface Peers {
  /** A directory for lock files, on a local disk. */
  directory: string;
  /** The compiled bench/peers/floor.c. */
  floor: string;
  /** NODE_PATH of the npm peers, if Node is there. */
  nodePath: string | undefined;
  /** The npm peers that could be installed. */
  npm: readonly string[];
  /** PYTHONPATH of filelock, if it could be had. */
  pythonPath: string | undefined;
  /** Who is absent, with the reason. */
  absent: string[];
  /** Fewer rounds. */
  quick: boolean;
}

/**
 * Runs tasks that print lines `{"name":…,"ns":…}`, in turns.
 *
 * @param tasks Each with a word to put before its names.
 * @param rounds How often each runs.
 * @returns The median by name.
 */
export async function medianNs(
  tasks: readonly [prefix: string, Invocation | undefined][],
  rounds: number,
): Promise<Map<string, number>> {
  const samples = new Map<string, number[]>();
  for (let round = 0; round < rounds; round++) {
    for (const [prefix, invocation] of tasks) {
      if (invocation === undefined) continue;
      for (const line of (await capture(invocation)).trim().split("\n")) {
        const { name, ns } = JSON.parse(line) as { name: string; ns: number };
        const key = `${prefix} ${name}`.trim();
        samples.set(key, [...samples.get(key) ?? [], ns]);
      }
    }
  }
  return new Map(
    [...samples].map(([name, values]) => [name, median(values)]),
  );
}

/** One measured thing. */
export interface Row {
  /** Who. */
  name: string;
  /** What, one value per column; `undefined` where there is none. */
  values: (number | undefined)[];
}

/** The outcome of one benchmark. */
export interface Report {
  /** The heading. */
  title: string;
  /** How it was measured. */
  method: string;
  /** The columns, with units. */
  columns: string[];
  /** The rows. */
  rows: Row[];
  /** The column drawn in the chart. */
  chartColumn: number;
  /**
   * The name of the chart's file, without extension; `undefined` where the rows
   * can't be compared.
   */
  chart: string | undefined;
}

/** A command and its arguments. */
export interface Invocation {
  command: string;
  args: string[];
  env?: Record<string, string>;
}

/** A task of bench/peers/deno.ts. */
export function denoPeer(kind: string, ...args: string[]): Invocation {
  return {
    command: Deno.execPath(),
    args: [
      "run",
      "-A",
      "--quiet",
      "--no-check",
      "--config",
      repositoryPath("deno.json"),
      repositoryPath("bench/peers/deno.ts"),
      kind,
      ...args,
    ],
  };
}

/** The command line tool. */
export function holdfast(...args: string[]): Invocation {
  return {
    command: Deno.execPath(),
    args: ["run", "-A", "--quiet", repositoryPath("cli/main.ts"), ...args],
  };
}

/** A task of bench/peers/node.cjs, unless its package is absent. */
export function nodePeer(
  peers: Peers,
  kind: string,
  ...args: string[]
): Invocation | undefined {
  if (peers.nodePath === undefined || !peers.npm.includes(kind)) {
    return undefined;
  }
  return {
    command: "node",
    args: [repositoryPath("bench/peers/node.cjs"), kind, ...args],
    env: { NODE_PATH: peers.nodePath },
  };
}

/** A task of bench/peers/filelock_peer.py, unless it is absent. */
export function pythonPeer(
  peers: Peers,
  ...args: string[]
): Invocation | undefined {
  if (peers.pythonPath === undefined) return undefined;
  return {
    command: "/usr/bin/python3",
    args: [repositoryPath("bench/peers/filelock_peer.py"), ...args],
    env: { PYTHONPATH: peers.pythonPath },
  };
}

/** Runs a command to its end and gives what it wrote. */
export async function capture(invocation: Invocation): Promise<string> {
  const { command, args, env } = invocation;
  const { code, stdout, stderr } = await new Deno.Command(command, {
    args,
    ...(env === undefined ? {} : { env }),
  }).output();
  if (code !== 0) {
    throw new Error(
      `${command} ${args.join(" ")} failed with ${code}: ` +
        new TextDecoder().decode(stderr).slice(0, 500),
    );
  }
  return new TextDecoder().decode(stdout);
}

/** A process that is talked to line by line. */
export class Dialogue implements AsyncDisposable {
  /** Its process id. */
  readonly pid: number;
  readonly #child: Deno.ChildProcess;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array>;
  readonly #stdout: ReadableStreamDefaultReader<string>;
  readonly #name: string;
  readonly #stderr: Promise<string>;
  #rest = "";

  /** Starts it. */
  constructor(invocation: Invocation) {
    const { command, args, env } = invocation;
    this.#child = new Deno.Command(command, {
      args,
      ...(env === undefined ? {} : { env }),
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#name = [command, ...args].join(" ");
    this.#stderr = new Response(this.#child.stderr).text();
    this.pid = this.#child.pid;
    this.#stdin = this.#child.stdin.getWriter();
    this.#stdout = this.#child.stdout.pipeThrough(new TextDecoderStream())
      .getReader();
  }

  /** Writes a line. */
  async say(line: string): Promise<void> {
    await this.#stdin.write(new TextEncoder().encode(line + "\n"));
  }

  /** Reads a line; throws at the end. */
  async hear(): Promise<string> {
    for (;;) {
      const end = this.#rest.indexOf("\n");
      if (end >= 0) {
        const line = this.#rest.slice(0, end);
        this.#rest = this.#rest.slice(end + 1);
        return line;
      }
      const { value } = await this.#stdout.read();
      if (value === undefined) {
        throw new Error(`${this.#name} ended early: ${await this.#stderr}`);
      }
      this.#rest += value;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
    await this.#stdin.close().catch(() => {});
    await this.#stdout.cancel().catch(() => {});
    await this.#stderr;
    await this.#child.status;
  }
}

/** Lets some time pass. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** The middle of some numbers. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? sorted[middle]!
    : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** CPU time of a process with all its threads, in milliseconds. */
export function cpuMs(pid: number): number {
  let ns = 0;
  for (const { name } of Deno.readDirSync(`/proc/${pid}/task`)) {
    const path = `/proc/${pid}/task/${name}/schedstat`;
    ns += Number(Deno.readTextFileSync(path).split(" ")[0]);
  }
  return ns / 1e6;
}

/** Three significant digits. */
export function formatNumber(value: number | undefined): string {
  if (value === undefined) return "–";
  if (value === 0) return "0";
  const wanted = 2 - Math.floor(Math.log10(Math.abs(value)));
  const digits = Math.min(Math.max(wanted, 0), 4);
  return value.toLocaleString("en", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

/** A report as Markdown. */
export function formatReport(report: Report): string {
  const { title, method, columns, rows, chart } = report;
  const lines = [
    `## ${title}`,
    "",
    method,
    "",
    ...(chart === undefined ? [] : [`![${title}](charts/${chart}.svg)`, ""]),
    `| | ${columns.join(" | ")} |`,
    `|---|${columns.map(() => "---:|").join("")}`,
    ...rows.map(({ name, values }) =>
      `| ${name} | ${values.map(formatNumber).join(" | ")} |`
    ),
    "",
  ];
  return lines.join("\n");
}

const BAR_HEIGHT = 20;
const LABEL_WIDTH = 250;
const BAR_WIDTH = 360;
const VALUE_WIDTH = 90;

/** A report's chart: one bar a row, on a logarithmic scale. */
export function drawChart(report: Report): string {
  const column = report.chartColumn;
  const bars = report.rows.flatMap(({ name, values }) => {
    const value = values[column];
    return value === undefined || value <= 0 ? [] : [{ name, value }];
  });
  const logs = bars.map(({ value }) => Math.log10(value));
  const least = Math.floor(Math.min(...logs)) - 0.2;
  const span = Math.max(...logs) - least || 1;
  const height = 34 + bars.length * BAR_HEIGHT;
  const width = LABEL_WIDTH + BAR_WIDTH + VALUE_WIDTH;
  const drawn = bars.map(({ name, value }, i) => {
    const y = 30 + i * BAR_HEIGHT;
    const length = (Math.log10(value) - least) / span * BAR_WIDTH;
    const own = name.startsWith("holdfast") ? "own" : "peer";
    return `<text x="${LABEL_WIDTH - 8}" y="${y + 13}" text-anchor="end">` +
      `${escapeXml(name)}</text>` +
      `<rect class="${own}" x="${LABEL_WIDTH}" y="${y + 3}" ` +
      `width="${length.toFixed(1)}" height="${BAR_HEIGHT - 6}"/>` +
      `<text x="${(LABEL_WIDTH + length + 6).toFixed(1)}" y="${y + 13}">` +
      `${formatNumber(value)}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" ` +
    `height="${height}" viewBox="0 0 ${width} ${height}">
<style>
text { font: 12px system-ui, sans-serif; fill: #24292f; }
.title { font-weight: 600; }
.own { fill: #0969da; }
.peer { fill: #8c959f; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .own { fill: #4493f8; }
  .peer { fill: #6e7681; }
}
</style>
<text class="title" x="8" y="18">${
      escapeXml(`${report.title}: ${report.columns[column]} (logarithmic)`)
    }</text>
${drawn.join("\n")}
</svg>
`;
}

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
