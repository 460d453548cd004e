import { assertEquals } from "@std/assert";
import { LockChanges } from "../../../cli/commands/locks/change.ts";
import type {
  LockTable,
  ProcessInfo,
  TableLock,
  TableWaiter,
} from "../../../lib/inspect/mod.ts";

const RANGE = {
  type: "FLOCK",
  enforcement: "ADVISORY",
  mode: "WRITE",
  startByte: 0n,
  endByte: undefined,
  file: {
    major: 8,
    minor: 1,
    inode: 7n,
    path: "/a",
    pathStatus: "here" as const,
    sizeBytes: 0n,
    fsType: "ext4",
    mountPoint: "/",
  },
};

function process(pid: number): ProcessInfo {
  return {
    pid,
    alive: true,
    name: "x",
    command: "x",
    user: "root",
    threads: 1,
    startTimeMs: 0,
  };
}

function held(takerPid: number | undefined, ...pids: number[]): TableLock {
  return {
    id: 0,
    ...RANGE,
    takerPid,
    holders: pids.map((pid) => ({
      process: process(pid),
      fds: [3],
      sources: ["descriptor"],
    })),
    listed: true,
  };
}

function wants(pid: number): TableWaiter {
  return {
    id: 0,
    ...RANGE,
    process: process(pid),
    ancestors: [],
    blockers: [],
  };
}

/** The events of readings one second apart, each with what it is about. */
let exertion: "ended" | "asleep" | "awake" = "ended";

function events(
  ...readings: { locks?: TableLock[]; waiters?: TableWaiter[] }[]
): unknown[][] {
  const changes = new LockChanges(() => exertion);
  return readings.map(({ locks = [], waiters = [] }, second) => {
    const table: LockTable = {
      readAtMs: second * 1000,
      locks,
      waiters,
      unreadablePids: [],
      unnamedFiles: 0,
      unparsedLines: 0,
    };
    return [...changes.next(table)].map((line) => {
      const { event, lock, waiter, observedMs, observedWaitMs } = JSON.parse(
        line,
      );
      const pids = lock?.holders.map(
        (holder: { process: { pid: number } }) => holder.process.pid,
      ) ?? [waiter.process.pid];
      return [event, pids.join(), observedMs ?? observedWaitMs ?? null];
    });
  });
}

Deno.test("what stays is told once", () => {
  const reading = { locks: [held(1, 1)], waiters: [wants(2)] };
  assertEquals(events(reading, reading), [
    [["held", "1", null], ["waiting", "2", null]],
    [],
  ]);
});

Deno.test("handed over: released, then acquired after so long a wait", () => {
  assertEquals(
    events(
      {},
      { locks: [held(1, 1)] },
      { locks: [held(1, 1)], waiters: [wants(2)] },
      { locks: [held(2, 2)] },
      {},
    ),
    [
      [],
      [["acquired", "1", null]],
      [["waiting", "2", null]],
      [["released", "1", 2000], ["acquired", "2", 1000]],
      [["released", "2", 1000]],
    ],
  );
});

Deno.test("a wait without success, one of two that look alike", () => {
  assertEquals(
    events(
      { locks: [held(1, 1)], waiters: [wants(2), wants(2)] },
      { locks: [held(1, 1)], waiters: [wants(2)] },
      { locks: [held(2, 2)] },
    ),
    [
      [["held", "1", null], ["waiting", "2", null], ["waiting", "2", null]],
      [["gave-up", "2", 1000]],
      [["released", "1", 2000], ["acquired", "2", 2000]],
    ],
  );
});

Deno.test("who is woken and gets no CPU yet has not given up", () => {
  const readings = [
    { locks: [held(1, 1)], waiters: [wants(2)] },
    {},
    {},
    { locks: [held(2, 2)] },
  ];
  exertion = "awake";
  assertEquals(events(...readings).slice(1), [
    [["released", "1", 1000]],
    [],
    [["acquired", "2", 3000]],
  ]);
  exertion = "asleep";
  assertEquals(events(...readings).slice(1), [
    [["released", "1", 1000]],
    [["gave-up", "2", 2000]],
    [["acquired", "2", null]],
  ]);
  exertion = "ended";
  assertEquals(events(...readings)[1], [
    ["released", "1", 1000],
    ["gave-up", "2", 1000],
  ]);
});

Deno.test("a lock that a child inherits is the same lock", () => {
  assertEquals(
    events({ locks: [held(1, 1)] }, { locks: [held(1, 1, 5)] }, {
      locks: [held(1, 5)],
    }),
    [[["held", "1", null]], [["holders", "1,5", null]], [[
      "holders",
      "5",
      null,
    ]]],
  );
});

Deno.test("two locks that look alike come and go one by one", () => {
  const lock = held(undefined, 1);
  assertEquals(
    events({ locks: [lock, lock] }, { locks: [lock] }).map((e) => e.length),
    [2, 1],
  );
});
