import { assert, assertEquals } from "@std/assert";
import {
  confirmDeadlocks,
  type Deadlock,
  findDeadlocks,
  type LockTable,
  type ProcessInfo,
  type TableLock,
  type TableWaiter,
  waitGraph,
} from "../../lib/inspect/mod.ts";
import { Random } from "../proc/support.ts";

function process(pid: number, threads = 1): ProcessInfo {
  return {
    pid,
    alive: true,
    name: `p${pid}`,
    command: `p${pid}`,
    user: "root",
    threads,
    startTimeMs: 0,
  };
}

interface Wish {
  pid: number;
  file: string;
  ancestors?: number[];
}

/** A table from who holds and who wants which file. */
function table(
  holds: Record<string, number[]>,
  wishes: Wish[],
  threads: Record<number, number> = {},
): LockTable {
  const processes = new Map<number, ProcessInfo>();
  const processOf = (pid: number) => {
    const known = processes.get(pid) ?? process(pid, threads[pid]);
    processes.set(pid, known);
    return known;
  };
  const range = (path: string) => ({
    type: "FLOCK",
    enforcement: "ADVISORY",
    mode: "WRITE",
    startByte: 0n,
    endByte: undefined,
    file: {
      major: 8,
      minor: 1,
      inode: 1n,
      path,
      pathStatus: "here" as const,
      sizeBytes: 0n,
      fsType: "ext4",
      mountPoint: "/",
    },
  });
  const locks = Object.entries(holds).map(([path, pids], id): TableLock => ({
    id,
    ...range(path),
    takerPid: pids[0],
    holders: pids.map((pid) => ({
      process: processOf(pid),
      fds: [3],
      sources: ["descriptor"],
    })),
    listed: true,
  }));
  const waiters = wishes.map((
    { pid, file, ancestors = [] },
    id,
  ): TableWaiter => ({
    id,
    ...range(file),
    process: processOf(pid),
    ancestors,
    blockers: locks.filter((lock) => lock.file.path === file),
  }));
  return {
    readAtMs: 0,
    locks,
    waiters,
    unreadablePids: [],
    unnamedFiles: 0,
    unparsedLines: 0,
  };
}

function find(...args: Parameters<typeof table>): Deadlock[] {
  return findDeadlocks(waitGraph(table(...args)));
}

function pids({ ring }: Deadlock): (number | undefined)[] {
  return ring.map(({ from }) => from.process?.pid);
}

Deno.test("a queue is no deadlock", () => {
  assertEquals(
    find({ a: [1], b: [2] }, [
      { pid: 2, file: "a" },
      { pid: 3, file: "a" },
      { pid: 4, file: "b" },
    ]),
    [],
  );
});

Deno.test("a ring of three, with someone queued behind it", () => {
  const [deadlock, ...others] = find({ a: [1], b: [2], c: [3] }, [
    { pid: 9, file: "a" },
    { pid: 1, file: "b" },
    { pid: 2, file: "c" },
    { pid: 3, file: "a" },
  ]);
  assertEquals(others, []);
  assert(deadlock?.certain);
  assertEquals(pids(deadlock).toSorted(), [1, 2, 3]);
  assertEquals(
    deadlock.processes.map(({ name }) => name).sort(),
    ["pid 1", "pid 2", "pid 3"],
  );
  assertEquals(deadlock.files.map(({ path }) => path).sort(), ["a", "b", "c"]);
});

Deno.test("two rings that share nobody are two deadlocks", () => {
  const deadlocks = find({ a: [1], b: [2], c: [3], d: [4] }, [
    { pid: 1, file: "b" },
    { pid: 2, file: "a" },
    { pid: 3, file: "d" },
    { pid: 4, file: "c" },
  ]);
  assertEquals(deadlocks.map((d) => pids(d).toSorted()), [[1, 2], [3, 4]]);
});

Deno.test("a process waits for itself, unless a thread of it may let go", () => {
  const wish = [{ pid: 1, file: "a" }];
  assertEquals(find({ a: [1] }, wish).map(pids), [[1]]);
  assertEquals(find({ a: [1] }, wish, { 1: 2 }), []);
});

Deno.test("threads make a ring only possible", () => {
  const [deadlock] = find(
    { a: [1], b: [2] },
    [{ pid: 1, file: "b" }, { pid: 2, file: "a" }],
    { 2: 4 },
  );
  assertEquals(deadlock?.certain, false);
});

Deno.test("a deadlock is confirmed by a later reading that has its ring", () => {
  const both = () =>
    find({ a: [1], b: [2], c: [3] }, [
      { pid: 1, file: "b" },
      { pid: 2, file: "a" },
      { pid: 3, file: "c" },
    ]);
  const [ring, torn] = both();
  assertEquals([ring, torn].map((one) => one && pids(one).length), [2, 1]);
  assertEquals(confirmDeadlocks(both(), both()).length, 2);
  const later = find({ a: [1], b: [2] }, [
    { pid: 2, file: "a" },
    { pid: 1, file: "b" },
  ]);
  assertEquals(confirmDeadlocks([ring!, torn!], later), [ring]);
  assertEquals(confirmDeadlocks([ring!, torn!], []), []);
});

Deno.test("a supervisor's child that waits for the supervisor's lock", () => {
  const [deadlock] = find({ a: [1] }, [
    { pid: 3, file: "a", ancestors: [2, 1] },
  ]);
  assertEquals(deadlock?.certain, false);
  assertEquals(
    deadlock?.ring.map(({ from, reason }) => [from.process?.pid, reason])
      .sort(),
    [[1, "child"], [3, "lock"]],
  );
});

Deno.test("random graphs: a deadlock is where a walk comes back", () => {
  const random = new Random(5);
  let rings = 0;
  for (let i = 0; i < 2000; i++) {
    const holds: Record<string, number[]> = {};
    const size = 1 + random.int(6);
    for (let file = 0; file < size; file++) {
      holds[`f${file}`] = [...new Set(random.list(2, () => random.int(size)))];
    }
    const wishes = random.list(6, () => ({
      pid: random.int(size),
      file: `f${random.int(size)}`,
    }));
    const graph = waitGraph(table(holds, wishes));
    const inRing = graph.nodes.filter((node) => {
      const seen = new Set([node]);
      for (const at of seen) {
        for (const { from, to } of graph.edges) {
          if (from !== at) continue;
          if (to === node) return true;
          seen.add(to);
        }
      }
      return false;
    });
    const deadlocks = findDeadlocks(graph);
    assertEquals(
      deadlocks.flatMap(({ processes }) => processes).map(({ name }) => name)
        .sort(),
      inRing.map(({ name }) => name).sort(),
    );
    for (const { ring } of deadlocks) {
      rings++;
      assertEquals(ring[0]?.from, ring.at(-1)?.to);
      for (let at = 1; at < ring.length; at++) {
        assertEquals(ring[at]?.from, ring[at - 1]?.to);
      }
    }
  }
  assert(rings > 100);
});

Deno.test("a ring of three thousand takes no stack", () => {
  const holds: Record<string, number[]> = {};
  const wishes: Wish[] = [];
  for (let pid = 0; pid < 3000; pid++) {
    holds[`f${pid}`] = [pid];
    wishes.push({ pid, file: `f${(pid + 1) % 3000}` });
  }
  assertEquals(find(holds, wishes).map(({ ring }) => ring.length), [3000]);
});
