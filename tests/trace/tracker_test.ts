import { assertEquals } from "@std/assert";
import { parseProcLocks } from "../../lib/proc/proc_locks.ts";
import { runScript } from "../support/run_script.ts";
import { line, type LinePieces, NO_PID, Told } from "./support/events.ts";

const UNLOCK = 2;
const READ = 0;
const POSIX = { event: "posix", flags: 1 | 128 } as const;

function feed(told: Told, ...lines: [pid: number, pieces: LinePieces][]) {
  for (const [pid, pieces] of lines) told.tracker.feed(line(pid, pieces));
  return told.next();
}

Deno.test("a lock is taken and released, and its time is told", () => {
  const told = new Told();
  assertEquals(
    feed(
      told,
      [1, { timeNs: 1e6 }],
      [1, { timeNs: 3.5e6, type: UNLOCK }],
    ),
    ["acquired 1 WRITE 100", "released 1 WRITE 100 held 2.5"],
  );
});

Deno.test("a waiter that is woken and beaten has waited from the start", () => {
  const told = new Told();
  assertEquals(
    feed(
      told,
      [1, { timeNs: 1e6 }],
      [2, { timeNs: 2e6, result: 1 }],
      [1, { timeNs: 3e6, type: UNLOCK }],
      [3, { timeNs: 4e6 }],
      [2, { timeNs: 5e6, result: 1 }],
      [3, { timeNs: 6e6, type: UNLOCK }],
      [2, { timeNs: 7e6 }],
    ),
    [
      "acquired 1 WRITE 100",
      "waiting 2 WRITE 100 behind [1]",
      "released 1 WRITE 100 held 2",
      "acquired 3 WRITE 100",
      "released 3 WRITE 100 held 2",
      "acquired 2 WRITE 100 waited 5",
    ],
  );
  assertEquals(told.tracker.state.waits.size, 0);
});

Deno.test("a refusal names the holder and changes nothing", () => {
  const told = new Told();
  assertEquals(
    feed(
      told,
      [1, { timeNs: 1e6, type: READ }],
      [2, { timeNs: 2e6, result: -11 }],
      [3, { timeNs: 3e6, type: READ }],
    ),
    [
      "acquired 1 READ 100",
      "refused 2 WRITE 100 EAGAIN behind [1]",
      "acquired 3 READ 100",
    ],
  );
});

Deno.test("a conversion that has to wait has given up the old lock", () => {
  const told = new Told();
  assertEquals(
    feed(
      told,
      [1, { timeNs: 1e6, type: READ }],
      [2, { timeNs: 1e6, type: READ }],
      [1, { timeNs: 2e6, result: 1 }],
      [2, { timeNs: 3e6, result: -11 }],
      [1, { timeNs: 4e6 }],
    ),
    [
      "acquired 1 READ 100",
      "acquired 2 READ 100",
      "released 1 READ 100 held 1 converted",
      "waiting 1 WRITE 100 behind [2]",
      "released 2 READ 100 held 2 converted",
      "refused 2 WRITE 100 EAGAIN behind []",
      "acquired 1 WRITE 100 waited 2",
    ],
  );
});

Deno.test("a wait ends by a signal with a handler, not by one that restarts", () => {
  const told = new Told();
  feed(told, [1, { timeNs: 0 }], [2, { timeNs: 1e6, result: 1 }]);
  const signal = {
    event: "signal",
    threadId: NO_PID + 2,
    signal: 14,
    handled: true,
  } as const;
  told.tracker.feed({ ...signal, timeNs: 2e6, restarts: true });
  assertEquals(told.next(), []);
  told.tracker.feed({ ...signal, timeNs: 3e6, restarts: false });
  assertEquals(told.next(), ["gave-up 2 WRITE 100 waited 2 interrupted"]);
});

Deno.test("a wait ends with its thread", () => {
  const told = new Told();
  feed(told, [1, { timeNs: 0 }], [2, { timeNs: 1e6, result: 1 }]);
  told.tracker.feed({
    event: "exit",
    timeNs: 4e6,
    threadId: NO_PID + 2,
    comm: "x",
    isLast: true,
  });
  assertEquals(told.next(), ["gave-up 2 WRITE 100 waited 3 ended"]);
});

Deno.test("an unlock of what was never locked says nothing", () => {
  const told = new Told();
  assertEquals(
    feed(
      told,
      [1, { timeNs: 0 }],
      [2, { timeNs: 1e6, type: UNLOCK }],
      [2, { timeNs: 2e6, type: UNLOCK, inodeLow: 7 }],
    ),
    ["acquired 1 WRITE 100"],
  );
});

Deno.test("part of a record lock is given back, the rest is held", () => {
  const told = new Told();
  const range = (startByte: bigint, endByte: bigint) => ({
    ...POSIX,
    startByte,
    endByte,
  });
  assertEquals(
    feed(
      told,
      [1, { timeNs: 0, ...range(0n, 99n) }],
      [1, { timeNs: 1e6, type: UNLOCK, ...range(40n, 59n) }],
      [2, { timeNs: 2e6, ...range(40n, 59n) }],
      [2, { timeNs: 3e6, ...range(50n, 69n), result: -11 }],
      [1, { timeNs: 4e6, type: UNLOCK, ...POSIX }],
    ),
    [
      "acquired 1 WRITE 100 0-99",
      "released 1 WRITE 100 40-59 held 1",
      "acquired 2 WRITE 100 40-59",
      "refused 2 WRITE 100 50-69 EAGAIN behind [1]",
      "released 1 WRITE 100 0-39 held 4",
      "released 1 WRITE 100 60-99 held 4",
    ],
  );
});

Deno.test("a record lock that grows is held since it was first taken", () => {
  const told = new Told();
  assertEquals(
    feed(
      told,
      [1, { timeNs: 0, ...POSIX, endByte: 9n }],
      // The kernel tells the merged range.
      [1, { timeNs: 1e6, ...POSIX, endByte: 19n }],
      [1, { timeNs: 3e6, ...POSIX, type: UNLOCK }],
    ),
    [
      "acquired 1 WRITE 100 0-9",
      "acquired 1 WRITE 100 0-19",
      "released 1 WRITE 100 0-19 held 3",
    ],
  );
});

Deno.test("flocks and record locks are not in each other's way", () => {
  const told = new Told();
  feed(told, [1, { timeNs: 0 }]);
  assertEquals(
    feed(told, [2, { timeNs: 1e6, ...POSIX, result: 1 }]),
    ["waiting 2 WRITE 100 behind []"],
  );
});

Deno.test("what else is held is told, by the process and its ancestors", () => {
  const told = new Told();
  const fork = (parent: number, child: number) =>
    told.tracker.feed({
      event: "fork",
      timeNs: 0,
      threadId: NO_PID + parent,
      childId: NO_PID + child,
      comm: "sh",
    });
  fork(1, 2);
  fork(2, 3);
  assertEquals(
    feed(
      told,
      [1, { timeNs: 1e6, inodeLow: 100 }],
      [3, { timeNs: 2e6, inodeLow: 200 }],
    ),
    ["acquired 1 WRITE 100", "acquired 3 WRITE 200 with [100]"],
  );
});

Deno.test("a lock whose taker has ended is its living ancestor's", () => {
  const told = new Told();
  const shell = Deno.pid;
  told.tracker.feed({
    event: "fork",
    timeNs: 0,
    threadId: shell,
    childId: NO_PID + 2,
    comm: "flock",
  });
  feed(told, [2, { timeNs: 1e6 }]);
  told.tracker.feed({
    event: "exit",
    timeNs: 2e6,
    threadId: NO_PID + 2,
    comm: "flock",
    isLast: true,
  });
  told.tracker.feed(line(3, { timeNs: 5e6, result: -11 }));
  const [refused] = told.activities;
  assertEquals(refused?.holders?.[0]?.process.pid, shell);
  told.next();
  // What the shell does next, it does with that lock, in the same batch too.
  const ofShell = { threadId: shell, processId: shell };
  const wish = { timeNs: 6e6, inodeLow: 200, owner: 9, ...ofShell };
  told.tracker.feed(line(0, wish));
  const [next] = told.activities;
  assertEquals(
    next?.alsoHeld?.map(({ file, holderPid }) => [file.inode, holderPid]),
    [[100n, shell]],
  );
  for (const nowNs of [7e6, 8e6]) told.tracker.endBatch(nowNs);
  const [inherited] = [...told.tracker.state.held()];
  assertEquals(inherited?.process.pid, shell);
});

Deno.test("who is still ending gives its locks back itself", async () => {
  const told = new Told();
  // It was told to have ended, and lives: as one that has yet to close its files.
  await using ending = await runScript('say("ready"); line();');
  const { pid } = ending;
  const own = { threadId: pid, processId: pid };
  told.tracker.feed(line(0, { timeNs: 1e6, ...own }));
  told.tracker.feed({
    event: "exit",
    timeNs: 2e6,
    threadId: pid,
    comm: "deno",
    isLast: true,
  });
  for (const nowNs of [5e6, 9e6, 13e6]) told.tracker.endBatch(nowNs);
  told.tracker.feed(line(0, { timeNs: 14e6, type: UNLOCK, ...own }));
  assertEquals(
    told.activities.map(({ event, process }) => [event, process.pid]),
    [["acquired", pid], ["released", pid]],
  );
});

Deno.test("what was held before the trace is released by its process", () => {
  const told = new Told();
  const listed = parseProcLocks(
    `1: FLOCK  ADVISORY  WRITE ${NO_PID + 1} 08:01:100 0 EOF\n` +
      `2: FLOCK  ADVISORY  READ ${NO_PID + 2} 08:01:200 0 EOF\n` +
      `2: -> FLOCK  ADVISORY  WRITE ${NO_PID + 3} 08:01:200 0 EOF\n`,
  );
  told.tracker.reconcile(listed, 1e6);
  assertEquals(told.next(), ["held 1 WRITE 100", "held 2 READ 200"]);
  assertEquals(
    feed(told, [1, { timeNs: 2e6, type: UNLOCK, owner: 77 }]),
    ["released 1 WRITE 100"],
  );
  // Somebody else closes the file: only /proc/locks can tell whose it was.
  feed(told, [4, { timeNs: 3e6, type: UNLOCK, inodeLow: 200 }]);
  assertEquals(told.tracker.needsCheck, true);
  told.tracker.reconcile(listed.slice(1), 4e6);
  assertEquals(told.next(), []);
  told.tracker.reconcile([], 5e6);
  assertEquals(told.next(), ["released 2 READ 200 unseen"]);
});

Deno.test("a lock that was listed first and told later is one lock", () => {
  const told = new Told();
  const listed = parseProcLocks(
    `1: FLOCK  ADVISORY  WRITE ${NO_PID + 1} 08:01:100 0 EOF\n`,
  );
  told.tracker.reconcile(listed, 1e6);
  told.next();
  assertEquals(
    feed(
      told,
      [1, { timeNs: 2e6 }],
      [1, { timeNs: 3e6, type: UNLOCK }],
    ),
    ["acquired 1 WRITE 100", "released 1 WRITE 100 held 1"],
  );
});

Deno.test("what is taken while the locks are listed isn't told twice", () => {
  const told = new Told();
  const listed = parseProcLocks(
    `1: FLOCK  ADVISORY  WRITE ${NO_PID + 1} 08:01:100 0 EOF\n` +
      `2: FLOCK  ADVISORY  WRITE ${NO_PID + 2} 08:01:200 0 EOF\n` +
      `3: OFDLCK ADVISORY  WRITE -1 08:01:300 0 EOF\n` +
      `4: FLOCK  ADVISORY  WRITE ${NO_PID + 4} 08:01:400 0 EOF\n`,
  );
  const OFD = { event: "posix", flags: 1 | 128 | 1024, inodeLow: 300 } as const;
  const meanwhile = [
    line(1, { timeNs: 2e6 }),
    line(3, { timeNs: 2e6, ...OFD }),
    // It was held until then.
    line(4, { timeNs: 2e6, inodeLow: 400, type: UNLOCK, owner: 77 }),
  ];
  told.tracker.reconcile(listed, 1e6, { meanwhile });
  assertEquals(told.next(), ["held 2 WRITE 200", "held 4 WRITE 400"]);
  for (const event of meanwhile) told.tracker.feed(event);
  assertEquals(told.next(), [
    "acquired 1 WRITE 100",
    "acquired 3 WRITE 300",
    "released 4 WRITE 400",
  ]);
});

Deno.test("after lost events, what isn't listed is gone and what is is held", () => {
  const told = new Told();
  feed(
    told,
    [1, { timeNs: 1e6 }],
    [2, { timeNs: 2e6, result: 1 }],
  );
  const listed = parseProcLocks(
    `1: FLOCK  ADVISORY  WRITE ${NO_PID + 2} 08:01:100 0 EOF\n`,
  );
  told.tracker.reconcile(listed, 3e6, { hasLost: true });
  assertEquals(told.next(), [
    "released 1 WRITE 100 held 2 unseen",
    "held 2 WRITE 100",
  ]);
  assertEquals(told.tracker.state.waits.size, 0);
});

Deno.test("a grant that another lock forbids proves that one gone", () => {
  const told = new Told();
  assertEquals(
    feed(told, [1, { timeNs: 1e6 }], [2, { timeNs: 3e6 }]),
    [
      "acquired 1 WRITE 100",
      "released 1 WRITE 100 held 2 unseen",
      "acquired 2 WRITE 100",
    ],
  );
});

Deno.test("the tracer's own locks are left out", () => {
  assertEquals(feed(new Told(), [99, { timeNs: 1e6 }]), []);
});

Deno.test("inodes that share their lower half are two files", () => {
  const told = new Told();
  assertEquals(
    feed(
      told,
      [1, { timeNs: 0 }],
      [2, { timeNs: 1, inodeHigh: 0x8000_0000 }],
    ),
    [
      "acquired 1 WRITE 100",
      `acquired 2 WRITE ${(0x8000_0000n << 32n) + 100n}`,
    ],
  );
});

Deno.test("a lease is taken, broken and given back", () => {
  const told = new Told();
  const lease = (
    event: "lease-add" | "lease-block" | "lease-unblock" | "lease-delete",
    pid: number,
    timeNs: number,
  ) =>
    told.tracker.feed({
      event,
      timeNs,
      threadId: NO_PID + pid,
      device: 8 << 20 | 1,
      inodeLow: 5,
      inodeHigh: 0,
      owner: 11,
      flags: 32,
      type: 1,
    });
  lease("lease-add", 1, 0);
  lease("lease-block", 2, 1e6);
  lease("lease-delete", 1, 3e6);
  lease("lease-unblock", 2, 4e6);
  assertEquals(told.next(), [
    "acquired 1 WRITE 5",
    "breaking 2 WRITE 5 behind [1]",
    "released 1 WRITE 5 held 3",
    "broken 2 WRITE 5 waited 3",
  ]);
});
