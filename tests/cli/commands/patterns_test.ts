import { assert, assertEquals, assertMatch } from "@std/assert";
import { getAffinity } from "../../../lib/sys/process/affinity.ts";
import { cliArgs, runCli } from "../../support/cli.ts";
import { HelperProcess } from "../../support/helper_process.ts";
import { holdFlock } from "../../support/foreign_flock.ts";
import type { ProgramResult } from "../../support/run_program.ts";
import { TempDir } from "../../support/temp_dir.ts";
import { until } from "../../support/until.ts";

/** The tool with a lock directory of its own. */
function tool(dir: TempDir, ...args: string[]): Promise<ProgramResult> {
  return runCli(args, { cwd: dir.path, env: lockEnv(dir) });
}

function lockEnv(dir: TempDir): Record<string, string> {
  return { HOLDFAST_LOCK_DIR: dir.join("locks") };
}

/** `run` with a command that says "ready" and lasts until it is told to end. */
function hold(dir: TempDir, ...args: string[]): Promise<HelperProcess> {
  return HelperProcess.start(
    Deno.execPath(),
    cliArgs(["run", ...args, "--", "sh", "-c", "echo ready; read -r _"]),
    { cwd: dir.path, env: lockEnv(dir) },
  );
}

/** stdout of a run that went well. */
function printed({ code, stdout, stderr }: ProgramResult): string {
  assertEquals([code, stderr], [0, ""]);
  return stdout;
}

Deno.test("transform and cache say why a command can't be executed", async () => {
  using dir = new TempDir();
  Deno.writeTextFileSync(dir.join("f"), "old");
  for (
    const args of [["transform", dir.join("f")], ["cache", dir.join("c"), "k"]]
  ) {
    const denied = await tool(dir, ...args, "--", dir.join("f"));
    assertEquals(denied.code, 126);
    assertMatch(
      denied.stderr,
      /^holdfast: Cannot execute '.+': .*ermission denied.*\n$/,
    );
    const missing = await tool(dir, ...args, "--", dir.join("none"));
    assertEquals(missing.code, 127);
    assertMatch(missing.stderr, /^holdfast: Cannot execute '.+': it was not/);
  }
  assertEquals(Deno.readTextFileSync(dir.join("f")), "old");
});

Deno.test("run --slots: as many at a time, and the slot is told", async () => {
  using dir = new TempDir();
  await using first = await hold(dir, "--slots", "2", "build");
  const echo = ["--", "sh", "-c", 'echo "$HOLDFAST_SLOT $HOLDFAST_LOCK"'];
  assertEquals(
    printed(await tool(dir, "run", "--slots", "2", "build", ...echo)),
    `1 ${dir.join("locks/build.slots")}\n`,
  );
  const busy = await tool(
    dir,
    "run",
    "-n",
    "--slots=2",
    "--want=2",
    "build",
    ...echo,
  );
  assertEquals([busy.code, busy.stdout], [75, ""]);
  assert(
    busy.stderr.startsWith(
      'holdfast run: Cannot get 2 slots of "' + dir.join("locks/build.slots") +
        '": 1 of 2 free now; holders:\n  slot 0: pid=',
    ),
    busy.stderr,
  );
  const { names: [report] } = JSON.parse(
    printed(await tool(dir, "slots", "--json", "build")),
  );
  assertEquals(
    report.slots.map(({ slot, held }: Record<string, unknown>) => [slot, held]),
    [[0, true], [1, false]],
  );
  assert(
    report.slots[0].holders.some(({ pid }: { pid: number }) =>
      pid === first.pid
    ),
  );
  const text = printed(await tool(dir, "slots", "build", "other"));
  assert(text.startsWith('"build": 1 of 2 taken\n  0: pid='), text);
  assert(text.endsWith('  1: free\n"other": never used\n'), text);
  await first.finish();
  assertEquals(
    printed(
      await tool(dir, "run", "--slots=2", "--want=2", "build", ...echo),
    ).split(" ")[0],
    "0,1",
  );
});

Deno.test("run --cpus: the command runs on the CPUs that it is told", async () => {
  using dir = new TempDir();
  const show = [
    "sh",
    "-c",
    'echo "$HOLDFAST_CPUS"; while IFS= read -r line; do ' +
    'case $line in Cpus_allowed_list*) echo "$line";; esac; ' +
    "done </proc/self/status",
  ];
  for (const way of [[], ["--exec"]]) {
    const text = printed(
      await tool(dir, "run", "--cpus=1", ...way, "--", ...show),
    );
    const cpu = getAffinity()[0]!;
    assertEquals(text, `${cpu}\nCpus_allowed_list:\t${cpu}\n`);
  }
  await using _holder = await hold(dir, "--llcs=1", "--performance");
  const cpu = String(getAffinity()[0]!);
  const busy = await tool(
    dir,
    "run",
    "-n",
    "--cpu-list",
    cpu,
    "--shared",
    "--",
    "true",
  );
  assertEquals(busy.code, 75);
  assert(/\nLLC 0 busy\n {2}pid=\d+ cmd=/.test(busy.stderr), busy.stderr);
});

Deno.test("run --cpus with a lock: both or none", async () => {
  using dir = new TempDir();
  await using _cpus = await hold(dir, "--cpus", String(getAffinity().length));
  const busy = await tool(dir, "run", "-n", "--cpus=1", "a", "--", "true");
  assertEquals(busy.code, 75);
  assertEquals(
    printed(await tool(dir, "run", "-n", "a", "--", "echo", "x")),
    "x\n",
  );
});

Deno.test("run --singleton: the second one has nothing to do or say", async () => {
  using dir = new TempDir();
  await using _holder = await hold(dir, "--singleton", "a.lock");
  const run = ["run", "--singleton", "a.lock", "--", "echo", "x"];
  assertEquals(printed(await tool(dir, ...run)), "");
});

Deno.test("run --every: at most once in so long", async () => {
  using dir = new TempDir();
  const run = ["run", "--every", "1h", "a.lock", "--", "echo", "x"];
  assertEquals(printed(await tool(dir, ...run)), "x\n");
  assertEquals(printed(await tool(dir, ...run)), "");
  await using _holder = await holdFlock(dir.join("a.lock"));
  const busy = await tool(dir, "run", "-n", ...run.slice(1));
  assertEquals(busy.code, 75);
});

Deno.test("run --fair: takes turns", async () => {
  using dir = new TempDir();
  const holder = await hold(dir, "--fair", "--shared", "a.lock");
  await using writer = HelperProcess.spawn(
    Deno.execPath(),
    cliArgs(["run", "--fair", "-q", "a.lock", "--", "echo", "written"]),
    { cwd: dir.path, env: lockEnv(dir) },
  );
  // The writer waits for the lock once it has drawn its ticket.
  await until(() =>
    / 2\n$/.test(Deno.readTextFileSync(dir.join("a.lock.queue")))
  );
  const late = await tool(
    dir,
    "run",
    "-w.2",
    "--fair",
    "-s",
    "a.lock",
    "--",
    "true",
  );
  assertEquals(late.code, 75);
  await holder.finish();
  await holder[Symbol.asyncDispose]();
  assertEquals(await writer.nextLine(), "written");
});

Deno.test("run --tree: the lock of a directory", async () => {
  using dir = new TempDir();
  Deno.mkdirSync(dir.join("src"));
  await using _holder = await hold(dir, "--tree", "src");
  const busy = await tool(dir, "run", "-n", "--tree", "./src/.", "--", "true");
  assertEquals(busy.code, 75);
  assertEquals([...Deno.readDirSync(dir.join("src"))], []);
});

Deno.test("run: what can't go together", async () => {
  using dir = new TempDir();
  for (
    const args of [
      ["--slots=2", "--fair", "a"],
      ["--slots=2", "a", "b"],
      ["--slots=0", "a"],
      ["--slots=x", "a"],
      ["--slots=2"],
      ["--want=2", "a"],
      ["--tree", ".", "a"],
      ["--every=1h", "--shared", "a"],
      ["--cpus=1", "--llcs=1"],
      ["--cpus=99999"],
      ["--cpu-list=z"],
      ["--fair", "--kind=ofd", "a"],
    ]
  ) {
    const { code, stderr } = await tool(dir, "run", ...args, "--", "echo", "x");
    assertEquals([code, /^holdfast run: /.test(stderr)], [64, true], stderr);
  }
});

Deno.test("gc: says what it does", async () => {
  using dir = new TempDir();
  for (const name of ["a.lock", "b.lock", "c.lck"]) {
    Deno.writeTextFileSync(dir.join(name), "");
  }
  await using _holder = await holdFlock(dir.join("b.lock"));
  assertEquals(
    printed(await tool(dir, "gc", "--dry-run", ".")),
    '"./a.lock": would be removed\n"./b.lock": kept, somebody holds it\n',
  );
  assertEquals(
    JSON.parse(printed(await tool(dir, "gc", "--json", "--match=?.lc*", "."))),
    {
      schema: 1,
      files: [{ path: "./c.lck", outcome: "removed", error: null }],
    },
  );
  assertEquals(
    printed(await tool(dir, "gc", "--older-than", "1d", ".")),
    '"./a.lock": kept, too recent\n"./b.lock": kept, too recent\n',
  );
  assertEquals(printed(await tool(dir, "gc", "-q", ".")), "");
  assertEquals(
    [...Deno.readDirSync(dir.path)].map(({ name }) => name),
    ["b.lock"],
  );
  assertEquals((await tool(dir, "gc", "nowhere")).code, 66);
});

Deno.test("transform: a file through a command", async () => {
  using dir = new TempDir();
  Deno.writeTextFileSync(dir.join("a"), "b\na\n");
  assertEquals(printed(await tool(dir, "transform", "a", "--", "sort")), "");
  assertEquals(Deno.readTextFileSync(dir.join("a")), "a\nb\n");
  const failed = await tool(
    dir,
    "transform",
    "a",
    "--",
    "sh",
    "-c",
    "echo x; exit 3",
  );
  assertEquals(failed.code, 3);
  const missing = await tool(dir, "transform", "a", "--", "no-such-program");
  assertEquals(missing.code, 127);
  assertEquals(Deno.readTextFileSync(dir.join("a")), "a\nb\n");
  await using _holder = await holdFlock(dir.join("a"));
  assertEquals(
    (await tool(dir, "transform", "-n", "a", "--", "sort")).code,
    75,
  );
});

Deno.test("transform: the command has the descriptor limit of its caller", async () => {
  using dir = new TempDir();
  const path = dir.join("a");
  Deno.writeTextFileSync(path, "");
  const { success } = await new Deno.Command("sh", {
    args: [
      "-c",
      'ulimit -Sn 512; "$@"; exit $?',
      "sh",
      Deno.execPath(),
      ...cliArgs(["transform", path, "--", "sh", "-c", "ulimit -Sn"]),
    ],
  }).output();
  assert(success);
  assertEquals(Deno.readTextFileSync(path), "512\n");
});

Deno.test("append: stdin as one piece", async () => {
  using dir = new TempDir();
  Deno.writeTextFileSync(dir.join("log"), "torn");
  const child = new Deno.Command(Deno.execPath(), {
    args: cliArgs(["append", "--start-new-line", "--sync", dir.join("log")]),
    stdin: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode("one\n"));
  assertEquals(Deno.readTextFileSync(dir.join("log")), "torn");
  await writer.write(new TextEncoder().encode("two\n"));
  await writer.close();
  assertEquals((await child.status).code, 0);
  assertEquals(Deno.readTextFileSync(dir.join("log")), "torn\none\ntwo\n");
});

Deno.test("cache: built once, printed each time", async () => {
  using dir = new TempDir();
  const build = ["sh", "-c", "echo built >> log; echo content"];
  const get = () => tool(dir, "cache", "c", "key", "--", ...build);
  const results = await Promise.all([get(), get(), get()]);
  assertEquals(results.map(printed), new Array(3).fill("content\n"));
  assertEquals(Deno.readTextFileSync(dir.join("log")), "built\n");
  printed(await tool(dir, "cache", "--evict", "c", "key"));
  const failed = await tool(dir, "cache", "c", "key", "--", "false");
  assertEquals(failed.code, 1);
  assertEquals(
    printed(
      await tool(
        dir,
        "cache",
        "--path",
        "c",
        "key",
        "--",
        "sh",
        "-c",
        'mkdir "$HOLDFAST_OUTPUT"',
      ),
    ),
    `${dir.join("c/key")}\n`,
  );
  assertEquals((await tool(dir, "cache", "c", "../x", "--", "true")).code, 64);
});
