import { assert, assertEquals } from "@std/assert";
import {
  type JoinedLock,
  type JoinedLocks,
  joinLocks,
} from "../../lib/inspect/lock_join.ts";
import type { LockedDescriptor } from "../../lib/inspect/descriptor_scan.ts";
import { parseFdinfo } from "../../lib/proc/fdinfo.ts";
import { ProcParseError } from "../../lib/proc/error.ts";
import { parseProcLocks, type ProcLock } from "../../lib/proc/proc_locks.ts";
import { capture, captureBytes, Random } from "../proc/support.ts";

function parse(text: string): ProcLock[] {
  return parseProcLocks(
    text.trim().split("\n").map((l) => l.trim()).join("\n"),
  );
}

function descriptor(pid: number, fd: number, ...lines: string[]) {
  const locks = parse(lines.join("\n"));
  return { pid, fd, locks } satisfies LockedDescriptor;
}

/** Locks as `pid:fd,… < waiters`, for short comparisons. */
function summary({ locks, waiters }: JoinedLocks): string[] {
  const name = ({ line, listed, descriptors }: JoinedLock) =>
    `${listed ? "" : "hidden "}${line.type} ${line.pid} ` +
    descriptors.map(({ pid, fd }) => `${pid}:${fd}`).join(",");
  return [
    ...locks.map(name),
    ...waiters.map(({ line, blockers }) =>
      `${line.pid} waits for ${blockers.map((lock) => name(lock)).join(" + ")}`
    ),
  ];
}

Deno.test("a lock is joined with every descriptor that carries it", () => {
  const line = "FLOCK  ADVISORY  WRITE 10 00:13:7 0 EOF";
  assertEquals(
    summary(joinLocks(parse(`1: ${line}`), [
      descriptor(10, 3, `1: ${line}`),
      descriptor(11, 5, `1: ${line}`),
      descriptor(12, 3, "1: FLOCK  ADVISORY  WRITE 12 00:13:8 0 EOF"),
    ])),
    ["FLOCK 10 10:3,11:5", "hidden FLOCK 12 12:3"],
  );
});

Deno.test("locks that look alike are told apart by their descriptions", () => {
  const line = "OFDLCK ADVISORY  READ -1 00:13:7 0 EOF";
  const lines = parse(`1: ${line}\n2: ${line}`);
  const descriptors = [
    descriptor(10, 3, `1: ${line}`),
    descriptor(11, 3, `1: ${line}`),
    descriptor(12, 3, `1: ${line}`),
  ];
  assertEquals(
    summary(joinLocks(
      lines,
      descriptors,
      (refs) => [[refs[0]!, refs[2]!], [refs[1]!]],
    )),
    ["OFDLCK -1 10:3,12:3", "OFDLCK -1 11:3"],
  );
  // Where that can't be known, each may be held by any of them.
  assertEquals(
    summary(joinLocks(lines, descriptors)),
    Array(2).fill("OFDLCK -1 10:3,11:3,12:3"),
  );
});

Deno.test("a waiter is blocked by what conflicts, not by its place", () => {
  const { waiters } = joinLocks(
    parse(`
      1: POSIX  ADVISORY  WRITE 10 00:13:7 0 9
      1: -> POSIX  ADVISORY  WRITE 20 00:13:7 5 25
      1:  -> POSIX  ADVISORY  READ 21 00:13:7 8 8
      2: POSIX  ADVISORY  READ 11 00:13:7 20 29
      3: OFDLCK ADVISORY  READ -1 00:13:7 0 EOF
      4: FLOCK  ADVISORY  WRITE 12 00:13:7 0 EOF
      5: POSIX  ADVISORY  WRITE 13 00:13:8 0 EOF
    `),
    [],
  );
  assertEquals(
    waiters.map(({ line, blockers }) => [
      line.pid,
      blockers.map((lock) => lock.line.id),
    ]),
    [[20, [1, 2, 3]], [21, [1]]],
  );
});

Deno.test("flock waiters nest, and yet wait for the holder", () => {
  const { waiters } = joinLocks(
    parse(`
      1: FLOCK  ADVISORY  READ 10 00:13:7 0 EOF
      1: -> FLOCK  ADVISORY  WRITE 20 00:13:7 0 EOF
      1:  -> FLOCK  ADVISORY  WRITE 21 00:13:7 0 EOF
      2: FLOCK  ADVISORY  READ 11 00:13:7 0 EOF
    `),
    [],
  );
  assertEquals(
    waiters.map(({ blockers }) => blockers.map(({ line }) => line.pid)),
    [[10, 11], [10, 11]],
  );
});

Deno.test("a lease breaker waits for the lease of its group", () => {
  const { waiters } = joinLocks(parseProcLocks(capture("locks_all/locks")), []);
  const breaker = waiters.find(({ line }) => line.enforcement === "BREAKER");
  assertEquals(
    breaker?.blockers.map(({ line }) => [line.type, line.inode]),
    [["LEASE", 2146914n]],
  );
});

Deno.test("a waiter without its holder's line has no blocker", () => {
  const { locks, waiters } = joinLocks(
    parse("4: -> FLOCK  ADVISORY  WRITE 20 00:13:7 0 EOF"),
    [],
  );
  assertEquals([locks, waiters[0]?.blockers], [[], []]);
});

/** What must be true of any join. */
function assertNothingLost(
  lines: readonly ProcLock[],
  descriptors: readonly LockedDescriptor[],
  { locks, waiters }: JoinedLocks,
): void {
  assertEquals(
    locks.filter(({ listed }) => listed).map(({ line }) => line),
    lines.filter(({ blocked }) => !blocked),
  );
  assertEquals(
    waiters.map(({ line }) => line),
    lines.filter(({ blocked }) => blocked),
  );
  const identity = (lock: ProcLock) =>
    JSON.stringify(
      { ...lock, id: 0, depth: 0, blocked: false, enforcement: "" },
      (_, value) => typeof value === "bigint" ? String(value) : value,
    );
  const carried = new Set(
    locks.flatMap(({ line, descriptors }) =>
      descriptors.map(({ pid, fd }) => `${pid}:${fd} ${identity(line)}`)
    ),
  );
  for (const { pid, fd, locks: own } of descriptors) {
    for (const lock of own) {
      assert(
        carried.delete(`${pid}:${fd} ${identity(lock)}`),
      );
    }
  }
  assertEquals([...carried], []);
  const held = new Set(locks);
  for (const { blockers } of waiters) {
    for (const blocker of blockers) assert(held.has(blocker));
  }
}

Deno.test("of random locks and descriptors nothing is lost or made up", () => {
  const random = new Random(11);
  const randomLine = (blocked: boolean): ProcLock => ({
    id: random.int(4),
    blocked,
    depth: blocked ? 1 + random.int(2) : 0,
    type: random.pick(["FLOCK", "POSIX", "OFDLCK", "LEASE", "NEW"]),
    enforcement: "ADVISORY",
    access: random.pick(["READ", "WRITE"]),
    pid: random.pick([-1, 0, 1, 2]),
    device: random.pick([undefined, { major: 0, minor: 19 }]),
    inode: BigInt(random.int(3)),
    startByte: BigInt(random.int(3)),
    endByte: random.pick([undefined, 3n, 9n]),
  });
  for (let i = 0; i < 3000; i++) {
    const lines = random.list(8, () => randomLine(random.int(3) === 0));
    let fd = 0;
    const descriptors = random.list(5, (): LockedDescriptor => ({
      pid: random.int(3),
      fd: fd++,
      locks: [
        lines.length > 0 && random.int(2) === 0
          ? { ...random.pick(lines), blocked: false, depth: 0 }
          : randomLine(false),
      ],
    }));
    const group = random.int(2) === 0
      ? undefined
      : (refs: readonly { pid: number; fd: number }[]) =>
        random.int(3) === 0 ? undefined : refs.map((ref) => [ref]);
    assertNothingLost(lines, descriptors, joinLocks(lines, descriptors, group));
  }
});

Deno.test("of mutated captures nothing is lost, and nothing hangs", () => {
  const random = new Random(12);
  const decoder = new TextDecoder();
  const locksBytes = captureBytes("locks_all/locks");
  const names = ["flock", "lease", "lease_breaking", "ofd", "posix"];
  const infos = names.map((name) => captureBytes(`fdinfo_${name}/fdinfo`));
  for (let i = 0; i < 2000; i++) {
    const lines = parseProcLocks(decoder.decode(random.mutate(locksBytes)), {
      onError: () => {},
    });
    const descriptors: LockedDescriptor[] = [];
    for (const [fd, bytes] of infos.entries()) {
      try {
        const text = decoder.decode(random.mutate(bytes));
        const { locks } = parseFdinfo(text, { onError: () => {} });
        descriptors.push({ pid: 9839, fd, locks: locks.slice(0, 1) });
      } catch (error) {
        if (!(error instanceof ProcParseError)) throw error;
      }
    }
    assertNothingLost(lines, descriptors, joinLocks(lines, descriptors));
  }
});
