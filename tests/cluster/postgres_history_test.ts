/**
 * A random history of workers that die, freeze and lose their sessions, and of
 * a server that crashes: who held the lock when, and what the fenced resource
 * has accepted.
 */
import { assert, assertEquals } from "@std/assert";
import {
  FENCED_TABLE,
  spawnFencedWorker,
  type WorkerEvent,
} from "../support/fenced_worker.ts";
import type { HelperProcess } from "../support/helper_process.ts";
import {
  needsPostgres,
  PostgresTestServer,
} from "../support/postgres_server.ts";
import { until } from "../support/until.ts";

const { ignore, suffix } = needsPostgres();
const TTL_MS = 3000;
const WORKERS = 4;
const STRESS = Number(Deno.env.get("HOLDFAST_STRESS") ?? 1);

/** One lock in one worker's hand. */
interface Section {
  readonly fence: bigint;
  readonly heldAt: number;
  /** When it was released or lost, or its worker killed. */
  endedAt: number;
  /** Whether it may have gone on after its end without a fault of ours. */
  mayOverlap: boolean;
  /** Whether it was lost. */
  isLost: boolean;
  /** Whether a write was refused. */
  isRefused: boolean;
}

/** A time in which a worker could not know what became of its lock. */
interface Blindness {
  readonly from: number;
  readonly to: number;
}

class Worker {
  readonly sections: Section[] = [];
  readonly blindness: Blindness[] = [];
  readonly process: HelperProcess;
  readonly done: Promise<void>;
  writes = 0;

  constructor(url: string) {
    this.process = spawnFencedWorker(url, TTL_MS);
    this.done = this.#read();
  }

  /** Whether it holds the lock, as far as it has said. */
  get isHolding(): boolean {
    return this.sections.at(-1)?.endedAt === Infinity;
  }

  async #read(): Promise<void> {
    for (;;) {
      const line = await this.process.nextLine();
      if (line === undefined) return;
      const { what, fence, at } = JSON.parse(line) as WorkerEvent;
      if (what === "held") {
        this.sections.push({
          fence: BigInt(fence),
          heldAt: at,
          endedAt: Infinity,
          mayOverlap: false,
          isLost: false,
          isRefused: false,
        });
        continue;
      }
      const section = this.sections.at(-1)!;
      assertEquals(section.fence, BigInt(fence));
      if (what === "wrote") this.writes++;
      else if (what === "refused") section.isRefused = true;
      else {
        section.isLost = what === "lost";
        section.endedAt = Math.min(section.endedAt, at);
      }
    }
  }
}

/** A server and those who work with it. */
class Scene {
  readonly all: Worker[] = [];
  #alive: Worker[] = [];

  constructor(readonly server: PostgresTestServer) {
    for (let i = 0; i < WORKERS; i++) this.spawn();
  }

  spawn(): void {
    const worker = new Worker(this.server.url("history"));
    this.all.push(worker);
    this.#alive.push(worker);
  }

  /** Waits for a section that begins after this moment. */
  async holder(): Promise<Worker> {
    const count = () => this.all.flatMap(({ sections }) => sections).length;
    const seen = count();
    const find = () => this.#alive.find(({ isHolding }) => isHolding);
    await until(() => count() > seen && find() !== undefined);
    return find()!;
  }

  /** Ends one and starts another. */
  async kill(worker: Worker): Promise<void> {
    this.#alive = this.#alive.filter((other) => other !== worker);
    worker.process.kill("SIGKILL");
    const killedAt = Date.now();
    await worker.done;
    const last = worker.sections.at(-1)!;
    last.endedAt = Math.min(last.endedAt, killedAt);
    this.spawn();
  }

  /** Freezes one until another has written. */
  async freeze(worker: Worker): Promise<void> {
    const from = Date.now();
    worker.process.kill("SIGSTOP");
    const others = () =>
      this.#alive.filter((other) => other !== worker)
        .reduce((sum, { writes }) => sum + writes, 0);
    const before = others();
    await until(() => others() > before + WORKERS);
    worker.process.kill("SIGCONT");
    worker.blindness.push({ from, to: Date.now() });
  }

  /** Ends the holder's session at the server; the client hears of it a moment later. */
  async terminate(): Promise<void> {
    const from = Date.now();
    await this.server.sql(
      "select pg_terminate_backend(pid) from pg_locks " +
        "where locktype = 'advisory' and granted",
    );
    const to = Date.now();
    for (const worker of this.#alive) worker.blindness.push({ from, to });
  }

  /** One server process dies, and all sessions with it. */
  async crashBackend(): Promise<void> {
    const pid = await this.server.sql(
      "select pid from pg_stat_activity where backend_type = 'client backend' " +
        "and pid <> pg_backend_pid() limit 1",
    );
    if (pid !== "") await this.server.kill(pid);
  }

  async finish(): Promise<void> {
    await Promise.all(this.#alive.map(({ process }) => process.finish()));
    await Promise.all(this.all.map(({ done }) => done));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(
      this.all.map(({ process }) => process[Symbol.asyncDispose]()),
    );
  }
}

const FAULTS: Record<string, (scene: Scene, holder: Worker) => Promise<void>> =
  {
    kill: (scene, holder) => scene.kill(holder),
    freeze: (scene, holder) => scene.freeze(holder),
    terminate: (scene) => scene.terminate(),
    crash: (scene) => scene.server.restart("immediate"),
    restart: (scene) => scene.server.restart("fast"),
    "crash of a backend": (scene) => scene.crashBackend(),
  };

Deno.test({
  name: "a random history: no overlap but of the blind, fences rise, nothing " +
    `late is accepted${suffix}`,
  ignore,
  async fn() {
    await using server = await PostgresTestServer.start();
    await server.sql(...FENCED_TABLE);
    await using scene = new Scene(server);
    const history: string[] = [];
    for (let round = 0; round < STRESS; round++) {
      for (const fault of shuffled(Object.keys(FAULTS))) {
        history.push(fault);
        await FAULTS[fault]!(scene, await scene.holder());
      }
    }
    await scene.holder();
    await scene.finish();
    const accepted =
      (await server.sql("select fence from accepted order by id"))
        .split("\n").map(BigInt);
    checkSections(scene.all, history.join());
    assertEquals(accepted, [...accepted].sort(compare), history.join());
  },
});

function checkSections(workers: readonly Worker[], history: string): void {
  for (const { sections, blindness } of workers) {
    for (const section of sections) {
      const { heldAt, endedAt } = section;
      section.mayOverlap = blindness.some(({ from, to }) =>
        heldAt <= to && endedAt >= from
      );
      // It was frozen under the lock, and wrote once more when it was too late.
      const wasFrozen = blindness.some(({ from, to }) =>
        to - from > TTL_MS && heldAt < from && endedAt > to
      );
      if (wasFrozen && section.isLost) {
        assert(section.isRefused, `a late write was not refused: ${history}`);
      }
    }
  }
  const all = workers.flatMap(({ sections }) => sections)
    .sort((a, b) => compare(a.fence, b.fence));
  assertEquals(new Set(all.map(({ fence }) => fence)).size, all.length);
  for (const [i, section] of all.entries()) {
    const next = all[i + 1];
    if (next === undefined) break;
    assert(section.heldAt <= next.heldAt, `fences went back: ${history}`);
    if (section.mayOverlap) continue;
    const overlapMs = section.endedAt - next.heldAt;
    assert(overlapMs <= 0, `${overlapMs} ms of overlap: ${history}`);
  }
}

function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function shuffled<T>(values: readonly T[]): T[] {
  return values.map((value) => ({ value, key: Math.random() }))
    .sort((a, b) => a.key - b.key).map(({ value }) => value);
}
