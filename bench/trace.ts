import { parseIsoTime } from "../lib/trace/json.ts";
import { runBeforeOthers } from "../lib/sys/process/priority.ts";
import {
  capture,
  Dialogue,
  holdfast,
  median,
  type Peers,
  type Report,
  repositoryPath,
  type Row,
} from "./support.ts";

/** A line of a trace, as far as it is looked at here. */
interface Line {
  event: string;
  time: string;
  process?: { pid: number };
  waitedMs?: number;
  heldMs?: number;
}

/** What a process knows of one taking of a lock; ns of CLOCK_MONOTONIC. */
interface Taking {
  pid: number;
  asked: number;
  got: number;
  released: number;
}

const CONTENDERS = 64;

/** Benchmark 10: what a trace costs, bears and tells. */
export async function measureTrace(peers: Peers): Promise<Report> {
  const load = `${peers.directory}/trace_load`;
  await capture({
    command: "cc",
    args: ["-O2", "-o", load, repositoryPath("bench/peers/trace_load.c")],
  });
  const bench = new TraceBench(load, `${peers.directory}/traced`, peers.quick);
  Deno.mkdirSync(bench.directory);
  const rows: Row[] = [];
  for (const measure of [bench.cost, bench.pace, bench.truth, bench.delay]) {
    const measured = await measure.call(bench);
    console.error(measured.map((figure) => figure.join(" ")).join("\n"));
    rows.push(...measured.map(([name, value]) => ({ name, values: [value] })));
  }
  return {
    title: "Tracing locks",
    method: "What `holdfast trace` costs: CPU time of `open`, `flock`, " +
      "`close` in a loop, pairs of rounds with and without a tracer, median of " +
      "the ratios. What it bears: processes that spin for 3 s, each bound to a " +
      "CPU, at real-time priorities below the tracer's, so that nothing else " +
      "takes part. What it tells: 64 processes with real-time priority contend " +
      "for a lock, so that none is preempted between the lock and its own " +
      "clock, which each reads after its call. When it tells: from the event " +
      "to the line, in a pipe, of 8 contending processes.",
    columns: ["figure"],
    rows,
    chartColumn: 0,
    chart: undefined,
  };
}

type Figures = [name: string, value: number][];

class TraceBench {
  readonly directory: string;
  readonly #load: string;
  readonly #quick: boolean;

  constructor(load: string, directory: string, quick: boolean) {
    this.#load = load;
    this.directory = directory;
    this.#quick = quick;
  }

  async cost(): Promise<Figures> {
    const path = this.#file("cost");
    const other = this.#file("other");
    const cost = this.#start("cost", path, "4000");
    const round = async () => {
      await cost.say("");
      return (await cost.hear()).split(" ").map(Number);
    };
    const ratios: number[][][] = [[], []];
    for (let pair = 0; pair < (this.#quick ? 3 : 12); pair++) {
      for (const [at, traced] of [this.directory, other].entries()) {
        const without = await rounds(round);
        const tracer = await Tracer.start([traced]);
        const withTrace = await rounds(round);
        await tracer.end();
        ratios[at]!.push(withTrace.map((ns, each) => ns / without[each]!));
      }
    }
    await cost[Symbol.asyncDispose]();
    const more = (at: number, each: number) =>
      (median(ratios[at]!.map((pair) => pair[each]!)) - 1) * 100;
    return [
      ["cost: open, flock, close, % more time", more(0, 0)],
      ["cost: the same where another file is traced, % more", more(1, 0)],
      ["cost: open, close without a lock, % more time", more(0, 1)],
    ];
  }

  async pace(): Promise<Figures> {
    const ms = this.#quick ? 1000 : 3000;
    const one = await this.#spin([500_000], ms);
    const two = await this.#spin([250_000, 250_000], ms);
    const flood = await this.#spin([2e6, 2e6], ms, "--buffer=1M");
    return [
      ["bears: one process, events a second", one.made / ms * 1000],
      ["bears: of these lost", one.lost],
      ["bears: two processes, events a second", two.made / ms * 1000],
      ["bears: of these lost", two.lost],
      ["bears: all they can, buffers of 1 MiB, lost", flood.lost],
      ["bears: of these neither told nor counted as lost", flood.missing],
    ];
  }

  /** Processes that take and release a lock at a pace. */
  async #spin(paces: number[], ms: number, ...options: string[]) {
    const paths = paces.map((_, at) => this.#file(`spin${at}`));
    const above = ["chrt", "-r", "2"];
    const tracer = await Tracer.start([...paths, ...options], above);
    const spinners = paces.map((pace, at) => {
      const words = ["spin", paths[at]!, `${pace}`, `${ms}`];
      return new Dialogue({
        command: "taskset",
        args: ["-c", `${at}`, this.#load, ...words],
      });
    });
    for (const each of spinners) await each.hear();
    for (const each of spinners) await each.say("");
    let made = 0;
    for (const each of spinners) made += Number(await each.hear());
    const { lost, received } = await tracer.endWithTotals();
    for (const each of spinners) await each[Symbol.asyncDispose]();
    // Others make a few events as well: exits, signals.
    return { made, lost, missing: Math.max(0, made - received - lost) };
  }

  async truth(): Promise<Figures> {
    const path = this.#file("truth");
    const turns = this.#quick ? 20 : 50;
    const tracer = await Tracer.start([this.directory]);
    const takings = await this.#contend(path, CONTENDERS, turns, 200, true);
    const lines = await tracer.end();
    const byPid = Map.groupBy(takings, ({ pid }) => pid);
    const holds: number[] = [];
    const waits: number[] = [];
    let matched = 0;
    for (const [pid, own] of byPid) {
      const of = lines.filter(({ process }) => process?.pid === pid);
      const acquired = of.filter(({ event }) => event === "acquired");
      const released = of.filter(({ event }) => event === "released");
      const waited = of.filter(({ event }) => event === "waiting").length;
      const told = acquired.filter(({ waitedMs }) => waitedMs !== null).length;
      if (acquired.length !== own.length || told !== waited) continue;
      if (released.length !== own.length) continue;
      matched += own.length;
      // Both events are made at the end of their calls: of an unlock, after
      // all who wait are woken.
      own.forEach(({ asked, got, released: ended }, at) => {
        const { waitedMs } = acquired[at]!;
        const { heldMs } = released[at]!;
        holds.push(Math.abs(heldMs! * 1000 - (ended - got) / 1000));
        if (typeof waitedMs !== "number") return;
        waits.push(Math.abs(waitedMs * 1000 - (got - asked) / 1000));
      });
    }
    return [
      ["tells: takings by 64 processes", takings.length],
      ["tells: of these matched", matched],
      ["tells: waits", waits.length],
      ["tells: holds differ from the processes' own, µs, p50", at(holds, 0.5)],
      ["tells: p99", at(holds, 0.99)],
      ["tells: waits differ, µs, p50", at(waits, 0.5)],
      ["tells: p99", at(waits, 0.99)],
    ];
  }

  async #contend(
    path: string,
    processes: number,
    turns: number,
    holdUs: number,
    realTime: boolean,
  ): Promise<Taking[]> {
    const numbers = [processes, turns, holdUs, realTime ? 1 : 0].map(String);
    const contend = this.#start("contend", path, ...numbers);
    await contend.hear();
    await contend.say("");
    const takings: Taking[] = [];
    for (;;) {
      const line = await contend.hear();
      if (line === "done") break;
      const [pid, asked, got, released] = line.split(" ")
        .map(Number) as [number, number, number, number];
      takings.push({ pid, asked, got, released });
    }
    await contend[Symbol.asyncDispose]();
    return takings;
  }

  async delay(): Promise<Figures> {
    // What arrives is to be noted when it does.
    runBeforeOthers();
    const quiet = await this.#delays();
    const busy = this.#start("busy", `${CONTENDERS}`);
    await busy.hear();
    const loaded = await this.#delays();
    await busy[Symbol.asyncDispose]();
    return [
      ["shown after, ms, p50", at(quiet, 0.5)],
      ["shown after, ms, p99", at(quiet, 0.99)],
      ["shown after, ms, at most", at(quiet, 1)],
      ["beside 64 processes that spin, ms, p50", at(loaded, 0.5)],
      ["beside 64 processes that spin, ms, p99", at(loaded, 0.99)],
      ["beside 64 processes that spin, ms, at most", at(loaded, 1)],
    ];
  }

  /** From event to line, in milliseconds. */
  async #delays(): Promise<number[]> {
    const path = this.#file("delay");
    const { command, args } = holdfast("trace", "--json", this.directory);
    const tracer = new Deno.Command(command, { args, stdout: "piped" }).spawn();
    const delays: number[] = [];
    const { promise: isOn, resolve } = Promise.withResolvers<void>();
    const reading = (async () => {
      const decoder = new TextDecoder();
      let rest = "";
      for await (const bytes of tracer.stdout) {
        const now = performance.timeOrigin + performance.now();
        const texts = (rest + decoder.decode(bytes, { stream: true }))
          .split("\n");
        rest = texts.pop()!;
        for (const text of texts) {
          const { event, time } = JSON.parse(text) as Line;
          if (event === "trace-started") resolve();
          else if (event === "acquired" || event === "released") {
            delays.push(now - parseIsoTime(time));
          }
        }
      }
    })();
    await isOn;
    await this.#contend(path, 8, this.#quick ? 50 : 200, 500, false);
    tracer.kill("SIGINT");
    await reading;
    return delays;
  }

  #start(...args: string[]): Dialogue {
    return new Dialogue({ command: this.#load, args });
  }

  #file(name: string): string {
    const path = `${this.directory}/${name}`;
    Deno.writeTextFileSync(path, "");
    return path;
  }
}

/** A trace into a file, which is on. */
class Tracer {
  readonly #process: Deno.ChildProcess;
  readonly #path: string;

  private constructor(process: Deno.ChildProcess, path: string) {
    this.#process = process;
    this.#path = path;
  }

  static async start(
    words: string[],
    before: string[] = [],
  ): Promise<Tracer> {
    const path = Deno.makeTempFileSync({ prefix: "holdfast-bench-trace-" });
    const tracer = holdfast("trace", "-o", path, ...words);
    const [command, ...args] = [...before, tracer.command, ...tracer.args];
    using changes = Deno.watchFs(path);
    const process = new Deno.Command(command!, { args }).spawn();
    for await (const _change of changes) {
      if (Deno.readTextFileSync(path).includes("\n")) break;
    }
    return new Tracer(process, path);
  }

  /** Ends it and gives its lines. */
  async end(): Promise<Line[]> {
    await this.#stop();
    const text = Deno.readTextFileSync(this.#path);
    Deno.removeSync(this.#path);
    return text.trimEnd().split("\n").map((line) => JSON.parse(line));
  }

  /** Ends it and gives its last line, however long it is. */
  async endWithTotals(): Promise<{ received: number; lost: number }> {
    await this.#stop();
    const last = await capture({ command: "tail", args: ["-n1", this.#path] });
    Deno.removeSync(this.#path);
    return JSON.parse(last);
  }

  async #stop(): Promise<void> {
    this.#process.kill("SIGINT");
    await this.#process.status;
  }
}

/** The medians of some rounds. */
async function rounds(round: () => Promise<number[]>): Promise<number[]> {
  const all: number[][] = [];
  for (let n = 0; n < 7; n++) all.push(await round());
  return all[0]!.map((_, at) => median(all.map((each) => each[at]!)));
}

/** What this part of the values doesn't exceed. */
function at(values: number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[
    Math.min(sorted.length - 1, Math.floor(sorted.length * part))
  ] ??
    NaN;
}
