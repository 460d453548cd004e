import { assertEquals, assertThrows } from "@std/assert";
import { ProcParseError } from "../../lib/proc/error.ts";
import { type FdInfo, parseFdinfo } from "../../lib/proc/fdinfo.ts";
import type { ProcLock } from "../../lib/proc/proc_locks.ts";
import { randomLock, renderLock } from "./render.ts";
import { capture, captureBytes, countLines, Random } from "./support.ts";

function info(changes: Partial<FdInfo> = {}): FdInfo {
  return {
    pos: 0n,
    flags: 0o2100002,
    mountId: 27,
    inode: 7n,
    locks: [],
    other: [],
    ...changes,
  };
}

function lock(changes: Partial<ProcLock>): ProcLock {
  return {
    id: 1,
    blocked: false,
    depth: 0,
    type: "POSIX",
    enforcement: "ADVISORY",
    access: "WRITE",
    pid: 9839,
    device: { major: 0xfe, minor: 0 },
    inode: 7n,
    startByte: 0n,
    endByte: undefined,
    ...changes,
  };
}

const CAPTURES: [name: string, info: FdInfo][] = [
  ["flock", {
    ...info({ inode: 2146908n }),
    locks: [lock({ type: "FLOCK", inode: 2146908n })],
  }],
  ["posix", {
    ...info({ inode: 2146910n }),
    locks: [
      lock({ inode: 2146910n, endByte: 99n }),
      lock({
        id: 2,
        access: "READ",
        inode: 2146910n,
        startByte: 5000000000n,
      }),
    ],
  }],
  ["ofd", {
    ...info({ inode: 2146911n }),
    locks: [
      lock({
        type: "OFDLCK",
        pid: -1,
        inode: 2146911n,
        startByte: 10n,
        endByte: 29n,
      }),
      lock({
        id: 2,
        type: "OFDLCK",
        access: "READ",
        pid: -1,
        inode: 2146911n,
        startByte: 9223372036854775806n,
      }),
    ],
  }],
  ["lease", {
    ...info({ inode: 2146913n, flags: 0o2120002 }),
    locks: [lock({ type: "LEASE", enforcement: "ACTIVE", inode: 2146913n })],
  }],
  ["lease_breaking", {
    ...info({ inode: 2146914n, flags: 0o2120002 }),
    locks: [
      lock({
        type: "LEASE",
        enforcement: "BREAKING",
        access: "UNLCK",
        inode: 2146914n,
      }),
    ],
  }],
  [
    "epoll",
    info({
      flags: 0o2000002,
      mountId: 17,
      inode: 3084n,
      other: [[
        "tfd",
        "12 events:       19 data:     7f550000000c  pos:0 ino:7bea sdev:f",
      ]],
    }),
  ],
  [
    "eventfd",
    info({
      flags: 0o2,
      mountId: 17,
      inode: 3084n,
      other: [
        ["eventfd-count", "5"],
        ["eventfd-id", "1"],
        ["eventfd-semaphore", "0"],
      ],
    }),
  ],
  [
    "inotify",
    info({
      flags: 0,
      mountId: 17,
      inode: 3084n,
      other: [
        [
          "inotify",
          "wd:2 ino:20c259 sdev:fe00000 mask:200 ignored_mask:0 " +
          "fhandle-bytes:8 fhandle-type:1 f_handle:59c22000783ea738",
        ],
        [
          "inotify",
          "wd:1 ino:20c25b sdev:fe00000 mask:100 ignored_mask:0 " +
          "fhandle-bytes:8 fhandle-type:1 f_handle:5bc22000cbbdedc8",
        ],
      ],
    }),
  ],
  [
    "timerfd",
    info({
      flags: 0o2,
      mountId: 17,
      inode: 3084n,
      other: [
        ["clockid", "1"],
        ["ticks", "0"],
        ["settime flags", "00"],
        ["it_value", "(0, 0)"],
        ["it_interval", "(0, 0)"],
      ],
    }),
  ],
];

for (const [name, expected] of CAPTURES) {
  Deno.test(`parseFdinfo: captured ${name}`, () => {
    assertEquals(parseFdinfo(capture(`fdinfo_${name}/fdinfo`)), expected);
  });
}

const HEAD = "pos:\t0\nflags:\t02100002\nmnt_id:\t27\n";

const CASES: [name: string, text: string, info: FdInfo][] = [
  ["no inode before Linux 5.14", HEAD, info({ inode: undefined })],
  ["no last line end", `${HEAD}ino:\t7`, info()],
  ["CRLF", `${HEAD}ino:\t7\n\n`.replaceAll("\n", "\r\n"), info()],
  [
    "the largest and a negative number",
    "pos:\t-9223372036854775808\nflags:\t0\nmnt_id:\t-1\n" +
    "ino:\t18446744073709551615\n",
    info({
      pos: -9223372036854775808n,
      flags: 0,
      mountId: -1,
      inode: 18446744073709551615n,
    }),
  ],
  [
    "repeated keys, odd keys, no value, no colon",
    `${HEAD}ino:\t7\npos:\tagain\nfoo:\nbar\na b c\n::\n: x\n  0: y:z\n\ufffd:1\n`,
    info({
      other: [
        ["pos", "again"],
        ["foo", ""],
        ["bar", ""],
        ["a", "b c"],
        ["::", ""],
        ["", "x"],
        ["0", "y:z"],
        ["\ufffd:1", ""],
      ],
    }),
  ],
];

for (const [name, text, expected] of CASES) {
  Deno.test(`parseFdinfo: ${name}`, () => {
    assertEquals(parseFdinfo(text), expected);
  });
}

Deno.test("parseFdinfo needs pos, flags and mnt_id", () => {
  const lines = HEAD.trim().split("\n");
  for (let i = 0; i < lines.length; i++) {
    const text = lines.toSpliced(i, 1).join("\n");
    assertThrows(() => parseFdinfo(text), ProcParseError, "pos, flags");
    assertThrows(
      () => parseFdinfo(text, { onError: () => {} }),
      ProcParseError,
      "pos, flags and mnt_id",
    );
  }
  assertThrows(() => parseFdinfo(""), ProcParseError, "line 1:");
});

const BAD: [line: string, expected: string][] = [
  ["pos:\tx", 'after "pos:"'],
  ["pos:\t99999999999999999999", 'after "pos:"'],
  ["pos:\t9223372036854775808", 'after "pos:"'],
  ["flags:\t08", 'after "flags:"'],
  ["mnt_id:", 'after "mnt_id:"'],
  ["ino:\t-1", 'after "ino:"'],
  ["ino:\t18446744073709551616", 'after "ino:"'],
  ["lock:\t1: FLOCK  ADV", 'a word like "READ"'],
  ["lock:", "a lock"],
];

for (const [line, expected] of BAD) {
  Deno.test(`parseFdinfo refuses ${JSON.stringify(line)}`, () => {
    const text = `${line}\n${HEAD}ino:\t7\n`;
    const error = assertThrows(
      () => parseFdinfo(text, { source: "/proc/5/fdinfo/3" }),
      ProcParseError,
      expected,
    );
    assertEquals([error.source, error.line, error.text], [
      "/proc/5/fdinfo/3",
      1,
      line,
    ]);
    const errors: string[] = [];
    assertEquals(
      parseFdinfo(text, { onError: (error) => errors.push(error.text) }),
      info(),
    );
    assertEquals(errors, [line]);
  });
}

function render(info: FdInfo): string {
  return `pos:\t${info.pos}\nflags:\t0${info.flags.toString(8)}\n` +
    `mnt_id:\t${info.mountId}\n` +
    (info.inode === undefined ? "" : `ino:\t${info.inode}\n`) +
    info.locks.map((lock) => `lock:\t${renderLock(lock)}\n`).join("") +
    info.other.map(([key, value]) => `${key}:\t${value}\n`).join("");
}

Deno.test("what is rendered from fdinfo is parsed to the same values", () => {
  const random = new Random(7);
  for (let i = 0; i < 1000; i++) {
    const expected: FdInfo = {
      pos: random.big(63),
      flags: random.int(2 ** 24),
      mountId: random.int(2 ** 31),
      inode: random.int(4) > 0 ? random.big(64) : undefined,
      locks: random.list(4, () => randomLock(random)),
      other: random.list(3, () => [
        random.pick(["eventfd-count", "settime flags", "tfd"]),
        String(random.int(1000)),
      ]),
    };
    assertEquals(parseFdinfo(render(expected)), expected);
  }
});

Deno.test("of mutated fdinfo every line is a value or an error", () => {
  const random = new Random(8);
  let failures = 0;
  for (let i = 0; i < 5000; i++) {
    const [name] = random.pick(CAPTURES);
    const bytes = captureBytes(`fdinfo_${name}/fdinfo`);
    const text = new TextDecoder().decode(random.mutate(bytes));
    let errors = 0;
    let found: FdInfo;
    try {
      found = parseFdinfo(text, { onError: () => errors++ });
    } catch (error) {
      if (!(error instanceof ProcParseError)) throw error;
      failures++;
      continue;
    }
    const header = found.inode === undefined ? 3 : 4;
    assertEquals(
      header + found.locks.length + found.other.length + errors,
      countLines(text),
    );
    if (errors > 0) assertThrows(() => parseFdinfo(text), ProcParseError);
  }
  assertEquals(failures > 500, true);
});
