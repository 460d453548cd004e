/** Times of a running trace in the table of locks, and figures for Prometheus. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { cliArgs, runCli } from "../../support/cli.ts";
import { holdFlock } from "../../support/foreign_flock.ts";
import { HelperProcess } from "../../support/helper_process.ts";
import { needs } from "../../support/programs.ts";
import { runProgram } from "../../support/run_program.ts";
import { until } from "../../support/until.ts";
import { TempDir } from "../../support/temp_dir.ts";
import {
  needsTracing,
  startLocker,
  tell,
} from "../../trace/support/tracing.ts";

const { ignore, suffix } = needsTracing;

/** A trace of one directory into a file, which is on once this returns. */
async function startTrace(dir: TempDir): Promise<HelperProcess> {
  const trace = HelperProcess.spawn(
    Deno.execPath(),
    cliArgs(["trace", "-o", dir.join("trace"), dir.path]),
  );
  await untilWritten(dir, "trace-started");
  return trace;
}

function untilWritten(dir: TempDir, text: string): Promise<void> {
  return until(() =>
    Deno.readTextFile(dir.join("trace")).then(
      (written) => written.includes(text),
      () => false,
    )
  );
}

async function table(dir: TempDir, ...args: string[]): Promise<string[][]> {
  const { stdout } = await runCli([
    "locks",
    "-r",
    "-n",
    "-o",
    "PID,AGE,WAITED,TIMEFROM",
    ...args,
    dir.path,
  ]);
  return stdout.trimEnd().split("\n").map((line) => line.split(" "));
}

Deno.test({
  name: `locks: AGE and WAITED are those of a running trace${suffix}`,
  ignore,
  async fn() {
    using dir = new TempDir();
    const path = dir.join("lock");
    await using holder = await startLocker(path);
    await using waiter = await startLocker(path);
    await using trace = await startTrace(dir);
    await tell(holder, "lock 0");
    await waiter.writeLine("lock 0");
    await untilWritten(dir, '"waiting"');
    let withTrace: string[][] = [];
    // Of a list that is made while others lock, a line may be missing.
    await until(async () => {
      withTrace = await table(dir, "--trace", dir.join("trace"));
      return withTrace.length === 2;
    });
    assertEquals(
      withTrace.map(([pid, , , from]) => [pid, from]),
      [[`${holder.pid}`, "trace"], [`${waiter.pid}`, "trace"]],
    );
    // Without a sign: neither more nor less than that.
    assertMatch(withTrace[1]![2]!, /^[\d.]+\\x20/);
    const without = await table(dir);
    assertEquals(without.map(([, , , from]) => from), ["process", "process"]);
    assertMatch(without[1]![2]!, /^</);

    const json = await runCli([
      "locks",
      "--json",
      "--trace",
      dir.join("trace"),
      dir.path,
    ]);
    const { locks, waiters } = JSON.parse(json.stdout);
    const written = Deno.readTextFileSync(dir.join("trace")).trimEnd()
      .split("\n").map((line) => JSON.parse(line));
    const timeOf = (event: string) =>
      written.find((line) => line.event === event).time.slice(0, 23);
    assertEquals(locks[0].heldSince.slice(0, 23), timeOf("acquired"));
    assertEquals(waiters[0].waitingSince.slice(0, 23), timeOf("waiting"));

    trace.kill("SIGINT");
    await trace.status;
    const ended = await runCli([
      "locks",
      "--trace",
      dir.join("trace"),
      dir.path,
    ]);
    assertEquals(ended.code, 65);
    assertMatch(ended.stderr, /that trace has ended.*leave it running/);
  },
});

Deno.test("locks --trace takes nothing from a file that is no trace", async () => {
  using dir = new TempDir();
  Deno.writeTextFileSync(dir.join("trace"), "hello\n{}\n");
  const { code, stderr } = await runCli([
    "locks",
    "--trace",
    dir.join("trace"),
  ]);
  assertEquals(code, 65);
  assertMatch(stderr, /it is no trace/);
});

/** What `promtool check metrics` has against a text. */
async function assertGoodMetrics(text: string): Promise<void> {
  // Each family is told once, and every sample belongs to the one before it.
  let family = "";
  const families = new Set<string>();
  for (const line of text.trimEnd().split("\n")) {
    const type = /^# TYPE (\w+) gauge$/.exec(line)?.[1];
    if (type !== undefined) {
      assert(!families.has(type), `${type} twice`);
      families.add(family = type);
    } else if (!line.startsWith("#")) {
      assertMatch(line, /^\w+(\{(\w+="([^"\\\n]|\\.)*",?)+\})? [\d.e+-]+$/);
      assertEquals(/^\w+/.exec(line)?.[0], family);
    }
  }
  assert(text.endsWith("\n# EOF\n"));
  if (needs("promtool").ignore) return;
  using dir = new TempDir();
  Deno.writeTextFileSync(dir.join("metrics"), text);
  const { code, stdout, stderr } = await runProgram("sh", [
    "-c",
    'exec promtool check metrics < "$1"',
    "sh",
    dir.join("metrics"),
  ]);
  assertEquals([code, stdout + stderr], [0, ""]);
}

Deno.test("locks --openmetrics counts who holds and who waits, by file", async () => {
  using dir = new TempDir();
  const path = dir.join('a "b"\\c');
  await using _holder = await holdFlock(path);
  await using waiter = HelperProcess.spawn(
    Deno.execPath(),
    cliArgs(["run", "--json-events", "1", path, "--", "true"]),
  );
  await waiter.nextLine();
  const label = `{file="${dir.path}/a \\"b\\"\\\\c",type="flock"}`;
  for (let waiters = ""; waiters !== "1";) {
    const { stdout } = await runCli(["locks", "--openmetrics", dir.path]);
    await assertGoodMetrics(stdout);
    const value = (name: string) =>
      stdout.split("\n").find((line) => line.startsWith(name + label))
        ?.split(" ").at(-1);
    assertEquals(value("holdfast_locks_held"), "1");
    waiters = value("holdfast_lock_waiters") ?? "";
  }
});

Deno.test("locks --openmetrics tells a hundred files apart, and the others as one", async () => {
  using dir = new TempDir();
  const paths = Array.from({ length: 120 }, (_, n) => dir.join(`${n}`));
  await using locker = await startLocker(...paths);
  for (const n of paths.keys()) await tell(locker, `lock ${n}`);
  const { stdout } = await runCli(["locks", "--openmetrics", dir.path]);
  await assertGoodMetrics(stdout);
  const held = stdout.split("\n")
    .filter((line) => line.startsWith("holdfast_locks_held{"));
  assertEquals(held.length, 101);
  assertEquals(
    held.at(-1),
    'holdfast_locks_held{file="(others)",type="flock"} 20',
  );
});

Deno.test("report --openmetrics sums up by file", async () => {
  using dir = new TempDir();
  const path = dir.join("lock");
  const events = dir.join("events");
  await runCli(["run", "--json-events", events, path, "--", "true"]);
  const { stdout } = await runCli(["report", "--openmetrics", events]);
  await assertGoodMetrics(stdout);
  assert(
    stdout.includes(`holdfast_acquisitions{file="${path}",type="flock"} 1\n`),
    stdout,
  );
});
