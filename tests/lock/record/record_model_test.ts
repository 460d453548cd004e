import { assert, assertEquals, equal } from "@std/assert";
import { fromFileUrl } from "@std/path/from-file-url";
import { parseProcLocks } from "../../../lib/proc/proc_locks.ts";
import { readText } from "../../../lib/sys/file.ts";
import { HelperProcess } from "../../support/helper_process.ts";
import { TempDir } from "../../support/temp_dir.ts";
import {
  type ModelLock,
  type ModelType,
  type Owner,
  RecordLockModel,
} from "./record_model.ts";

const WORKER = fromFileUrl(new URL("record_worker.ts", import.meta.url));
const CONFIG = fromFileUrl(new URL("../../../deno.json", import.meta.url));

const SIZE = 24;
const PROCESSES = 3;
const SCALE = Number(Deno.env.get("HOLDFAST_STRESS") ?? 1);
const STEPS = Math.ceil(400 * SCALE);
const SEED = Number(Deno.env.get("HOLDFAST_SEED") ?? 20_240_229);

/** mulberry32: small, seeded and good enough to choose ranges by. */
function seededRandom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

function describe(lock: ModelLock): string {
  const { owner, type, startByte, endByte } = lock;
  const access = type === "read" ? "READ" : "WRITE";
  return `${owner.kind} ${access} ${owner.pid} ${startByte}-${
    endByte ?? "EOF"
  }`;
}

function kernelLocks(inode: bigint): string[] {
  return parseProcLocks(readText("/proc/locks"))
    .filter((lock) => lock.inode === inode)
    .map(({ type, access, pid, startByte, endByte }) =>
      `${type} ${access} ${pid} ${startByte}-${endByte ?? "EOF"}`
    ).sort();
}

/**
 * /proc/locks isn't read at one moment: while other files' locks come and go,
 * a line may be there twice or not at all. Nothing changes on this file, so
 * another reading settles it.
 */
function assertKernelLocks(
  inode: bigint,
  model: RecordLockModel,
  message?: string,
): void {
  const expected = model.locks().map(describe).sort();
  for (let reading = 0; reading < 50; reading++) {
    if (equal(kernelLocks(inode), expected)) return;
  }
  assertEquals(kernelLocks(inode), expected, message);
}

class Worker {
  readonly process: HelperProcess;
  /** One for POSIX, and one for each of two descriptions. */
  readonly posix: Owner;
  readonly ofd: readonly Owner[];

  constructor(process: HelperProcess) {
    this.process = process;
    this.posix = { pid: process.pid, kind: "POSIX" };
    this.ofd = [{ pid: -1, kind: "OFDLCK" }, { pid: -1, kind: "OFDLCK" }];
  }

  async ask(line: string): Promise<string | undefined> {
    await this.process.writeLine(line);
    return this.process.nextLine();
  }
}

Deno.test(`${STEPS} random range operations by ${PROCESSES} processes leave the kernel and an independent model alike`, async () => {
  using directory = new TempDir();
  const path = directory.join("file");
  Deno.writeTextFileSync(path, "");
  const inode = BigInt(Deno.statSync(path).ino!);
  await using processes = new AsyncDisposableStack();
  const workers: Worker[] = [];
  for (let i = 0; i < PROCESSES; i++) {
    workers.push(
      new Worker(
        processes.use(
          await HelperProcess.start(Deno.execPath(), [
            "run",
            "--quiet",
            "--no-check",
            "--config",
            CONFIG,
            "--allow-ffi",
            WORKER,
            path,
          ]),
        ),
      ),
    );
  }
  const random = seededRandom(SEED);
  const model = new RecordLockModel(SIZE);
  const seen = new Set<string>();
  for (let step = 0; step < STEPS; step++) {
    const worker = workers[random(PROCESSES)]!;
    const kind = random(2) === 0 ? "posix" : "ofd";
    const fd = random(2);
    const owner = kind === "posix" ? worker.posix : worker.ofd[fd]!;
    const start = random(SIZE);
    const end = random(5) === 0
      ? undefined
      : start + random(Math.min(8, SIZE - start));
    // A negative length says the same from the other end.
    const backwards = end !== undefined && random(4) === 0;
    const [from, length] = end === undefined
      ? [start, 0]
      : backwards
      ? [end + 1, start - end - 1]
      : [start, end - start + 1];
    // So that neither readers nor writers ever fill the file.
    const types = ["read", "write", "write", "unlock", "unlock"] as const;
    const type: ModelType = types[random(types.length)]!;
    const where =
      `seed ${SEED}, step ${step}: ${kind} ${type} ${from}:${length}`;

    const asked = type === "unlock" ? "write" : type;
    const answer = await worker.ask(
      `get ${kind} ${fd} ${asked} ${from} ${length}`,
    );
    const inTheWay = model.inTheWay(owner, asked, start, end).map((lock) => {
      const count = lock.endByte === undefined
        ? 0
        : lock.endByte - lock.startByte + 1;
      return `${lock.type} ${lock.startByte} ${count} ${lock.owner.pid}`;
    });
    if (inTheWay.length === 0) assertEquals(answer, "free", where);
    // Which of several is named is up to the kernel.
    else assert(inTheWay.includes(answer!), `${where}: ${answer}`);

    const granted = model.set(owner, type, start, end);
    assertEquals(
      await worker.ask(`set ${kind} ${fd} ${type} ${from} ${length}`),
      granted ? "granted" : "busy",
      where,
    );
    assertKernelLocks(inode, model, where);
    seen.add(`${type} ${granted}`);
  }
  // The sequence was worth it.
  assertEquals([...seen].sort(), [
    "read false",
    "read true",
    "unlock true",
    "write false",
    "write true",
  ]);
  // A process that ends lets go of everything.
  const [first] = workers;
  await first!.process.finish();
  for (const owner of [first!.posix, ...first!.ofd]) model.drop(owner);
  assertKernelLocks(inode, model);
});
