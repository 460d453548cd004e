import { basename } from "@std/path/basename";
import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import type {
  TableLock,
  TableWaiter,
} from "../../../lib/inspect/lock_table.ts";
import type { ProcessInfo } from "../../../lib/sys/process/process_info.ts";
import { parseFilter } from "../../../cli/commands/locks/filter.ts";
import type { Row } from "../../../cli/commands/locks/row.ts";
import { UsageError } from "../../../cli/args/parse.ts";
import { tryFlock } from "../../../lib/lock/flock/flock.ts";
import { runCli } from "../../support/cli.ts";
import { TempDir } from "../../support/temp_dir.ts";

const NOW_MS = 10_000_000;

function process(pid: number, ageMs?: number): ProcessInfo {
  return {
    pid,
    name: "backup",
    command: "backup --all",
    user: "root",
    threads: 1,
    startTimeMs: ageMs === undefined ? undefined : NOW_MS - ageMs,
    alive: true,
  };
}

const LOCK = {
  type: "FLOCK",
  mode: "WRITE",
  enforcement: "ADVISORY",
  listed: true,
  takerPid: 7,
  startByte: 0n,
  endByte: undefined,
  holders: [],
  file: {
    path: `/var/lock/it's "x".lock`,
    pathStatus: "here",
    inode: 42n,
    major: 8,
    minor: 1,
    sizeBytes: 4096n,
    fsType: "ext4",
    mountPoint: "/",
  },
} as unknown as TableLock;

const HELD: Row = {
  entry: LOCK,
  holders: [],
  process: process(7, 7_200_000),
  blockers: [],
  waiters: [],
  time: undefined,
  deadlocked: false,
};

const WAITING: Row = {
  ...HELD,
  entry: { ...LOCK, blockers: [LOCK] } as unknown as TableWaiter,
  process: process(9, 60_000),
  blockers: [{
    ...LOCK,
    holders: [7, 8].map((pid) => ({
      process: process(pid),
      fds: [],
      sources: ["taker" as const],
    })),
  }],
};

/** Expressions, and whether the held row and the waiting one pass. */
const CASES: [expression: string, held: boolean, waiting: boolean][] = [
  ["PID == 7", true, false],
  ["pid eq 7", true, false],
  ["PID = 7", true, false],
  ["7 == PID", true, false],
  ['PID == "7"', true, false],
  ["PID != 7", false, true],
  ["PID >= 7 && PID < 9", true, false],
  ["PID ge 7 AND PID lt 10", true, true],
  ["PID == 1 || PID == 9", false, true],
  ["PID == 1 or not PID == 9", true, false],
  // And binds more tightly than or.
  ["PID == 7 || PID == 9 && TYPE == 'POSIX'", true, false],
  ["(PID == 7 || PID == 9) && TYPE == 'POSIX'", false, false],
  ["!(PID == 7)", false, true],
  ["! !(PID == 7)", true, false],
  ['TYPE == "FLOCK"', true, true],
  ['TYPE != "FLOCK"', false, false],
  ['TYPE < "POSIX"', true, true],
  ['MODE == "WRITE*"', false, true],
  ['STATE == "waiting"', false, true],
  [`PATH == '/var/lock/it\\'s "x".lock'`, true, true],
  [String.raw`PATH =~ "^/var/.*\.lock$"`, true, true],
  [String.raw`PATH !~ "\.lock$"`, false, false],
  ["COMMAND =~ 'back'", true, true],
  ["SIZE == 4K", true, true],
  ["SIZE > 4KiB", false, false],
  ["SIZE > 1.5", true, true],
  ["INODE == 42", true, true],
  ["END == 0", true, true],
  ['MAJ:MIN == "8:1"', true, true],
  // Any of several.
  ["BLOCKER == 8", false, true],
  ["BLOCKER != 8", true, false],
  ['BLOCKER == "7,8"', false, true],
  // Times.
  ['AGE > "1h"', true, false],
  ['AGE <= "1m"', false, true],
  ["AGE > 3600", true, false],
  ['WAITED > "1s"', false, true],
  // A column alone: is there anything?
  ["WAITED", false, true],
  ["BLOCKER", false, true],
  ["M", false, false],
  ["M == false", true, true],
  ["not M", true, true],
  ["FD == 3", false, false],
  ["FD != 3", true, true],
  ["TYPE == 1", false, false],
];

for (const [expression, held, waiting] of CASES) {
  Deno.test(`filter: ${expression}`, () => {
    const test = parseFilter(expression);
    assertEquals([HELD, WAITING].map((row) => test(row, NOW_MS)), [
      held,
      waiting,
    ]);
  });
}

for (
  const [expression, said] of [
    ["", "expected a column or a value at character 1, found its end"],
    ["PID ==", "expected a column or a value at character 7, found its end"],
    ["PID == 1 PID", "expected an operator at character 10, found 'PID'"],
    ["(PID == 1", "expected ')' at character 10, found its end"],
    ["PID == 1)", "expected an operator at character 9, found ')'"],
    ["&& PID", "expected a column or a value at character 1, found '&&'"],
    ["PID == ;", "expected a column or a value at character 8, found ';'"],
    [`PATH == "x`, `at character 9, found '"x'`],
    ["PATH =~ 3", "expected a pattern in quotes at character 9, found '3'"],
    ["PATH =~ '('", "invalid regular expression: '('"],
    ["AGE > 1h", "invalid number: '1h'"],
    ["PDI == 1", "unknown column: PDI"],
  ]
) {
  Deno.test(`filter: ${JSON.stringify(expression)} is refused`, () => {
    assertThrows(() => parseFilter(expression!), UsageError, said);
  });
}

Deno.test("locks -Q: in tables and in JSON", async () => {
  using dir = new TempDir();
  using _a = tryFlock(dir.join("a.lock"))!;
  using _b = tryFlock(dir.join("b.lock"), { mode: "shared" })!;
  const paths = async (...args: string[]) => {
    const { stdout } = await runCli([
      "locks",
      "-n",
      "-r",
      "-o",
      "PATH",
      ...args,
      dir.path,
    ]);
    return stdout.trim().split("\n").map((path) => basename(path));
  };
  assertEquals(await paths("-Q", 'MODE == "READ"'), ["b.lock"]);
  assertEquals(await paths("--filter", "PATH =~ 'a.lock'"), ["a.lock"]);
  const json = await runCli([
    "locks",
    "--json",
    "-Q",
    `PID == ${Deno.pid} && MODE == "WRITE"`,
    dir.path,
  ]);
  assertEquals(JSON.parse(json.stdout).locks.length, 1);
  const bad = await runCli(["locks", "-Q", "PDI == 1"]);
  assertEquals(bad.code, 64);
  assertStringIncludes(bad.stderr, "did you mean 'PID'?");
});
