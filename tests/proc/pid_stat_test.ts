import { assertEquals, assertThrows } from "@std/assert";
import { ProcParseError } from "../../lib/proc/error.ts";
import {
  parsePidStat,
  parseStatus,
  type PidStat,
} from "../../lib/proc/pid_stat.ts";
import { capture, captureBytes, Random } from "./support.ts";

const CAPTURED: PidStat = {
  pid: 10065,
  comm: "a) (b",
  state: "S",
  ppid: 10024,
  pgrp: 10020,
  session: 7978,
  nice: 0,
  threads: 1,
  startTimeTicks: 444967n,
};

Deno.test("parsePidStat: captured, parentheses and a blank in the name", () => {
  assertEquals(parsePidStat(capture("process/stat")), CAPTURED);
});

for (
  const comm of ["", " ", ")", "(", "a b", "1) R 2 3 (", "x\ny", "\ufffd)"]
) {
  Deno.test(`parsePidStat: name ${JSON.stringify(comm)}`, () => {
    const text = capture("process/stat").replace("a) (b", comm);
    assertEquals(parsePidStat(text), { ...CAPTURED, comm });
    assertEquals(parsePidStat(text.trimEnd() + "\r\n").comm, comm);
  });
}

const STAT = "7 (sh) S 1 7 7 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 88";

const BAD_STATS: [text: string, expected: string][] = [
  ["", "a program name"],
  ["7 sh S 1", "a program name"],
  ["7 )sh( S 1", "a program name"],
  ["7 (sh", "a program name"],
  ["7 (sh)", "22 fields"],
  [STAT.slice(0, -3), "22 fields"],
  [STAT.replace("7 (", "x ("), "a process id"],
  [STAT.replace("7 (", "("), "a process id"],
  [STAT.replace(" S ", " SS "), "field 3"],
  [STAT.replace(" 88", " 8x8"), "field 22"],
  [STAT.replace(" S 1 ", " S  "), "field 4"],
  [STAT.replace(" S 1 ", " S 9007199254740993 "), "field 4"],
  [STAT.replace(" 88", ` ${"9".repeat(5000)}`), "field 22"],
];

for (const [text, expected] of BAD_STATS) {
  Deno.test(`parsePidStat refuses ${text.slice(0, 70)}`, () => {
    const error = assertThrows(
      () => parsePidStat(text, "/proc/7/stat"),
      ProcParseError,
      expected,
    );
    assertEquals([error.source, error.line, error.text], [
      "/proc/7/stat",
      1,
      text,
    ]);
  });
}

Deno.test("what is rendered from a process is parsed to the same", () => {
  const random = new Random(9);
  const id = (): number => random.int(2 ** 31);
  for (let i = 0; i < 1000; i++) {
    const s: PidStat = {
      pid: id(),
      comm: random.text(15),
      state: random.pick([..."RSDZTtXI"]),
      ppid: id(),
      pgrp: id(),
      session: id(),
      nice: random.int(40) - 20,
      threads: random.int(1000),
      startTimeTicks: random.big(64),
    };
    const others = (count: number) =>
      Array.from({ length: count }, () => random.big(64)).join(" ");
    const text = `${s.pid} (${s.comm}) ${s.state} ${s.ppid} ${s.pgrp} ` +
      `${s.session} ${others(12)} ${s.nice} ${s.threads} 0 ` +
      `${s.startTimeTicks} ${others(30)}\n`;
    assertEquals(parsePidStat(text), s);
  }
});

const STATUS = "Name:\tsh\nUid:\t1000\t0\t0\t0\nNSpid:\t70\t7\nThreads:\t2\n";

Deno.test("parseStatus: captured", () => {
  const text = capture("process/status");
  const { fields, ...values } = parseStatus(text);
  assertEquals(values, { name: "a) (b", uid: 0, nsPids: [10065], threads: 1 });
  assertEquals([...fields.keys()], text.match(/^[^:]+(?=:)/gm));
  assertEquals(fields.get("Uid"), "0\t0\t0\t0");
  assertEquals(fields.get("State"), "S (sleeping)");
});

Deno.test("parseStatus: escaped name, blanks, old kernel, CRLF", () => {
  const fields = new Map([
    ["Name", "sh"],
    ["Uid", "1000\t0\t0\t0"],
    ["NSpid", "70\t7"],
    ["Threads", "2"],
  ]);
  const status = { name: "sh", uid: 1000, nsPids: [70, 7], threads: 2, fields };
  assertEquals(parseStatus(STATUS), status);
  assertEquals(
    parseStatus(STATUS.replace("NSpid:\t70\t7\n", "")).nsPids,
    [],
  );
  assertEquals(
    parseStatus(STATUS.replace("sh", " \\\\n\\n: ")).name,
    " \\n\n: ",
  );
  assertEquals(
    parseStatus("Threads:\t2\r\nUid:\t1\r\nName:\tsh").threads,
    2,
  );
});

const BAD_STATUSES: [text: string, line: number, expected: string][] = [
  ["", 1, '"Name:", "Uid:" and "Threads:"'],
  [STATUS.replace("Uid", "Vid"), 5, '"Name:", "Uid:" and "Threads:"'],
  [STATUS.replace("Name", "Nome"), 5, '"Name:", "Uid:" and "Threads:"'],
  [STATUS.replace("\t1000", "\t-1"), 2, 'numbers after "Uid:"'],
  [STATUS.replace("\t7\n", "\tx\n"), 3, 'numbers after "NSpid:"'],
  [STATUS.replace("\t2", ""), 4, 'numbers after "Threads:"'],
  [STATUS + "junk\n", 5, "a key and a colon"],
  [":\n" + STATUS, 1, "a key and a colon"],
];

for (const [text, line, expected] of BAD_STATUSES) {
  Deno.test(`parseStatus refuses ${JSON.stringify(text)}`, () => {
    const error = assertThrows(
      () => parseStatus(text, "/proc/7/status"),
      ProcParseError,
      expected,
    );
    assertEquals([error.source, error.line], ["/proc/7/status", line]);
  });
}

Deno.test("mutated stat and status parse or fail with ProcParseError", () => {
  const random = new Random(10);
  for (
    const [file, parse] of [
      ["process/stat", parsePidStat],
      ["process/status", parseStatus],
    ] as const
  ) {
    const bytes = captureBytes(file);
    let failures = 0;
    for (let i = 0; i < 3000; i++) {
      const text = new TextDecoder().decode(random.mutate(bytes));
      try {
        parse(text);
      } catch (error) {
        if (!(error instanceof ProcParseError)) throw error;
        failures++;
      }
    }
    assertEquals(failures > 300 && failures < 3000, true);
  }
});
