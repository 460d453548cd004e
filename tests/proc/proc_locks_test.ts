import process from "node:process";
import { assertEquals, assertLess, assertThrows } from "@std/assert";
import { ProcParseError } from "../../lib/proc/error.ts";
import {
  parseProcLockLine,
  parseProcLocks,
  type ProcLock,
} from "../../lib/proc/proc_locks.ts";
import { randomLock, renderLock } from "./render.ts";
import { capture, captureBytes, countLines, Random } from "./support.ts";

/** A whole-file exclusive flock, changed as said. */
function lock(changes: Partial<ProcLock> = {}): ProcLock {
  return {
    id: 1,
    blocked: false,
    depth: 0,
    type: "FLOCK",
    enforcement: "ADVISORY",
    access: "WRITE",
    pid: 359,
    device: { major: 0, minor: 0x13 },
    inode: 11691n,
    startByte: 0n,
    endByte: undefined,
    ...changes,
  };
}

const LINE = "1: FLOCK  ADVISORY  WRITE 359 00:13:11691 0 EOF";

const CASES: [name: string, text: string, locks: ProcLock[]][] = [
  ["empty text", "", []],
  ["blank lines", "\n \n\t\r\n", []],
  ["one line", `${LINE}\n`, [lock()]],
  ["no last line end", LINE, [lock()]],
  ["CRLF", `${LINE}\r\n${LINE}\r\n`, [lock(), lock()]],
  [
    "waiters at three depths",
    "7: -> POSIX  ADVISORY  WRITE 2 fd:00:9 50 149\n" +
    "7:  -> POSIX  ADVISORY  READ 3 fd:00:9 60 69\n" +
    "7:   -> POSIX  ADVISORY  READ 4 fd:00:9 60 69\n",
    [
      { pid: 2, depth: 1, access: "WRITE", startByte: 50n, endByte: 149n },
      { pid: 3, depth: 2, access: "READ", startByte: 60n, endByte: 69n },
      { pid: 4, depth: 3, access: "READ", startByte: 60n, endByte: 69n },
    ].map((changes) =>
      lock({
        id: 7,
        blocked: true,
        type: "POSIX",
        device: { major: 0xfd, minor: 0 },
        inode: 9n,
        ...changes,
      })
    ),
  ],
  [
    "a waiter whose arrow has no blank before it",
    "3:-> FLOCK  ADVISORY  WRITE 359 00:13:11691 0 EOF",
    [lock({ id: 3, blocked: true, depth: 1 })],
  ],
  [
    "an open file description has pid -1",
    "2: OFDLCK ADVISORY  READ -1 103:fffff:1 9223372036854775806 EOF",
    [lock({
      id: 2,
      type: "OFDLCK",
      access: "READ",
      pid: -1,
      device: { major: 0x103, minor: 0xfffff },
      inode: 1n,
      startByte: 9223372036854775806n,
    })],
  ],
  [
    "a pid of another namespace, and of a remote host",
    "1: FLOCK  ADVISORY  WRITE 0 00:13:11691 0 EOF\n" +
    "1: FLOCK  ADVISORY  WRITE -4711 00:13:11691 0 EOF",
    [lock({ pid: 0 }), lock({ pid: -4711 })],
  ],
  [
    "no inode",
    "1: -> LEASE  BREAKER   WRITE 359 <none>:0 0 EOF\n" +
    "1: POSIX  *NOINODE* UNLCK 359 <none>:0 0 0",
    [
      lock({
        blocked: true,
        depth: 1,
        type: "LEASE",
        enforcement: "BREAKER",
        device: undefined,
        inode: 0n,
      }),
      lock({
        type: "POSIX",
        enforcement: "*NOINODE*",
        access: "UNLCK",
        device: undefined,
        inode: 0n,
        endByte: 0n,
      }),
    ],
  ],
  [
    "words of old and coming kernels",
    "1: FLOCK  MSNFS     RW    359 00:13:11691 0 EOF\n" +
    "1: ACCESS MANDATORY NONE  359 00:13:11691 0 EOF\n" +
    "1: QUANTUM-LOCK MAYBE ENTANGLED 359 00:13:11691 0 EOF\n" +
    "1: UNKNOWN UNKNOWN  READ 359 00:13:11691 0 EOF",
    [
      lock({ enforcement: "MSNFS", access: "RW" }),
      lock({ type: "ACCESS", enforcement: "MANDATORY", access: "NONE" }),
      lock({ type: "QUANTUM-LOCK", enforcement: "MAYBE", access: "ENTANGLED" }),
      lock({ type: "UNKNOWN", enforcement: "UNKNOWN", access: "READ" }),
    ],
  ],
  [
    "replacement characters in a word",
    "1: FL\ufffdCK ADVISORY WRITE 359 00:13:11691 0 EOF",
    [lock({ type: "FL\ufffdCK" })],
  ],
  [
    "the largest numbers",
    "9007199254740991: FLOCK  ADVISORY  WRITE 2147483647 " +
    "fff:fffff:18446744073709551615 9223372036854775807 9223372036854775807",
    [lock({
      id: 9007199254740991,
      pid: 2147483647,
      device: { major: 0xfff, minor: 0xfffff },
      inode: 18446744073709551615n,
      startByte: 9223372036854775807n,
      endByte: 9223372036854775807n,
    })],
  ],
];

for (const [name, text, locks] of CASES) {
  Deno.test(`parseProcLocks: ${name}`, () => {
    assertEquals(parseProcLocks(text), locks);
  });
}

const BAD: [line: string, expected: string][] = [
  ["FLOCK  ADVISORY", "the lock's number"],
  ["-> FLOCK", "the lock's number"],
  ["1 FLOCK", 'a ":" after'],
  ["1:", "a lock type"],
  ["1: ->", "a lock type"],
  ["1: FLOCK", 'a word like "ADVISORY"'],
  ["1: FLOCK  ADV", 'a word like "READ"'],
  ["1: FLOCK  ADVISORY  WRITE", "a process id"],
  ["1: FLOCK  ADVISORY  WRITE -", "a process id"],
  ["1: FLOCK  ADVISORY  WRITE 35x 00:13:1 0 EOF", "a process id"],
  ["1: FLOCK  ADVISORY  359 00:13:11691 0 EOF", "a process id"],
  ["1: FLOCK  ADVISORY  WRITE 359 00", "a device number"],
  ["1: FLOCK  ADVISORY  WRITE 359 00:13", 'a ":" before the inode'],
  ["1: FLOCK  ADVISORY  WRITE 359 <none>", 'a ":" before the inode'],
  ["1: FLOCK  ADVISORY  WRITE 359 00:13:", "an inode number"],
  ["1: FLOCK  ADVISORY  WRITE 359 00:13:11691", "an inode number"],
  ["1: FLOCK  ADVISORY  WRITE 359 00:13:18446744073709551616 0 EOF", "inode"],
  [`1: FLOCK  ADVISORY  WRITE 359 00:13:${"9".repeat(5000)} 0 EOF`, "inode"],
  ["1: FLOCK  ADVISORY  WRITE 359 00:13:11691 0", "a first byte"],
  ["1: FLOCK  ADVISORY  WRITE 359 00:13:1 0x1 EOF", "a first byte"],
  ["1: FLOCK  ADVISORY  WRITE 359 00:13:11691 0 EO", "a last byte"],
  ["1: FLOCK  ADVISORY  WRITE 359 00:13:11691 0 EOFx", "a last byte"],
  ["1: FLOCK  ADVISORY  WRITE 359 00:13:1 0 9223372036854775808", "last byte"],
  [`${LINE} ${LINE}`, "a last byte"],
  ["99999999999999999999: FLOCK  ADVISORY", "the lock's number"],
];

for (const [line, expected] of BAD) {
  Deno.test(`parseProcLocks refuses ${line.slice(0, 60)}`, () => {
    const error = assertThrows(
      () => parseProcLocks(`${LINE}\n\n${line}\n${LINE}\n`),
      ProcParseError,
      expected,
    );
    assertEquals(
      [error.source, error.line, error.text],
      ["/proc/locks", 3, line],
    );
    const errors: ProcParseError[] = [];
    const locks = parseProcLocks(`${LINE}\n\n${line}\n${LINE}\n`, {
      source: "/saved",
      onError: (error) => errors.push(error),
    });
    assertEquals(locks, [lock(), lock()]);
    assertEquals(
      errors.map(({ source, line, text }) => ({ source, line, text })),
      [{ source: "/saved", line: 3, text: line }],
    );
  });
}

Deno.test("parseProcLockLine names its source and line", () => {
  assertEquals(parseProcLockLine(`\t${LINE}`), lock());
  const error = assertThrows(
    () => parseProcLockLine("1: \x1b[31m", "/proc/5/fdinfo/3", 6),
    ProcParseError,
  );
  assertEquals(
    error.message,
    'Cannot parse "/proc/5/fdinfo/3", line 6: expected a word like ' +
      '"ADVISORY" in "1: \\x1b[31m"',
  );
  assertThrows(() => parseProcLockLine(" "), ProcParseError, "a lock");
});

Deno.test("parseProcLocks: captured leases, OFD, POSIX and flock waiters", () => {
  const device = { major: 0xfe, minor: 0 };
  const none = { device: undefined, inode: 0n };
  const holder = { pid: 9839, device };
  const waiter = (pid: number, depth: number): Partial<ProcLock> => ({
    pid,
    depth,
    device,
    blocked: true,
  });
  const lease = { ...holder, type: "LEASE", enforcement: "ACTIVE" };
  const ofd = { pid: -1, device, type: "OFDLCK", inode: 2146911n };
  const posix = { type: "POSIX", inode: 2146910n };
  const flock = { id: 9, inode: 2146908n };
  const last = 9223372036854775806n;
  assertEquals(
    parseProcLocks(capture("locks_all/locks")),
    [
      {
        ...lease,
        enforcement: "BREAKING",
        access: "UNLCK",
        inode: 2146914n,
      },
      {
        ...lease,
        ...waiter(9886, 1),
        ...none,
        enforcement: "BREAKER",
      },
      { ...lease, id: 2, inode: 2146913n },
      { ...lease, id: 3, access: "READ", inode: 2146912n },
      { ...ofd, id: 4, access: "READ", startByte: last },
      { ...ofd, id: 5, startByte: 10n, endByte: 29n },
      { ...holder, ...posix, id: 6, access: "READ", startByte: 5000000000n },
      { ...holder, ...posix, id: 7, endByte: 99n },
      { ...posix, ...waiter(9883, 1), id: 7, startByte: 50n, endByte: 149n },
      { ...posix, ...waiter(9884, 2), id: 7, startByte: 60n, endByte: 69n },
      { ...posix, ...waiter(9885, 3), id: 7, startByte: 62n, endByte: 66n },
      { ...holder, id: 8, access: "READ", inode: 2146909n },
      { ...holder, ...flock },
      { ...waiter(9880, 1), ...flock },
      { ...waiter(9881, 2), ...flock, access: "READ" },
      { ...waiter(9882, 3), ...flock },
    ].map(lock),
  );
});

Deno.test("what is rendered from locks is parsed to the same locks", () => {
  const random = new Random(2);
  for (let i = 0; i < 500; i++) {
    const locks = random.list(8, () => randomLock(random));
    const text = locks.map((lock) => renderLock(lock) + "\n").join("");
    assertEquals(parseProcLocks(text), locks);
  }
});

Deno.test("of mutated locks every line is a lock or an error", () => {
  const random = new Random(3);
  const bytes = captureBytes("locks_all/locks");
  let failures = 0;
  for (let i = 0; i < 5000; i++) {
    const text = new TextDecoder().decode(random.mutate(bytes));
    const errors: ProcParseError[] = [];
    const locks = parseProcLocks(text, { onError: (e) => errors.push(e) });
    assertEquals(locks.length + errors.length, countLines(text));
    const lines = text.split("\n");
    for (const error of errors) assertEquals(error.text, lines[error.line - 1]);
    // What was accepted is worth no less than its rendering.
    const rendered = locks.map(renderLock).join("\n");
    assertEquals(parseProcLocks(rendered), locks);
    if (errors.length > 0) {
      failures++;
      assertThrows(() => parseProcLocks(text), ProcParseError);
    }
  }
  assertEquals(failures > 500, true);
});

Deno.test("twenty times the locks take no more than their share of CPU time", () => {
  const random = new Random(4);
  const line = (): string => renderLock(randomLock(random)) + "\n";
  const lines = Array.from({ length: 100_000 }, line);
  // The best of several: the first are not compiled, and garbage is collected
  // at times.
  const best = (count: number) => {
    const text = lines.slice(0, count).join("");
    let best = Infinity;
    for (let i = 0; i < 5; i++) {
      const before = process.cpuUsage();
      assertEquals(parseProcLocks(text).length, count);
      const { user, system } = process.cpuUsage(before);
      best = Math.min(best, user + system);
    }
    return best;
  };
  best(5000); // Compiled by now.
  // Quadratic would be 400 times.
  assertLess(best(100_000) / best(5000), 150);
});
