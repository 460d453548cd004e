import { fromFileUrl } from "@std/path/from-file-url";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { SCHEMAS } from "../../../cli/commands/schema/all.ts";
import { SCHEMA_SPEC } from "../../../cli/commands/schema/spec.ts";
import { acquire } from "../../../lib/acquire/acquire.ts";
import { cliArgs, runCli } from "../../support/cli.ts";
import { holdFlock } from "../../support/foreign_flock.ts";
import { HelperProcess } from "../../support/helper_process.ts";
import { assertForm, findFaults } from "../../support/json_schema.ts";
import { runScript } from "../../support/run_script.ts";
import { until } from "../../support/until.ts";
import { TempDir } from "../../support/temp_dir.ts";
import { needsTracing } from "../../trace/support/tracing.ts";

async function print(...args: string[]): Promise<string> {
  const { stdout, stderr } = await runCli(args);
  assert(stdout !== "", stderr);
  return stdout;
}

Deno.test("the validator finds what is missing, wrong and unknown", () => {
  const { schema } = SCHEMAS.gc!;
  const file = { path: "/x", outcome: "removed", error: null };
  const faults = (value: unknown) => findFaults(schema, value);
  assertEquals(faults({ schema: 1, files: [file] }), []);
  assertEquals(faults({ schema: 2, files: [] }), ["$.schema: not 1"]);
  assertEquals(faults({ schema: 1 }), ["$: files is missing"]);
  assertEquals(faults({ schema: 1, files: [{ ...file, path: 7 }] }), [
    "$.files[0].path: 7 is no string",
  ]);
  assertEquals(faults({ schema: 1, files: [{ ...file, more: 1 }] }), [
    "$.files[0]: more isn't in the schema",
  ]);
  assertEquals(faults({ schema: 1, files: [{ ...file, error: 1 }] }), [
    "$.files[0].error: 1 is no string or null",
  ]);
  const { schema: watch } = SCHEMAS["locks-watch"]!;
  assert(findFaults(watch, { schema: 1, event: "held" }).length > 0);
});

Deno.test("every schema is listed, printed and known to the completions", async () => {
  const names = Object.keys(SCHEMAS);
  assertEquals(SCHEMA_SPEC.operands[0]?.values, names);
  const listed = await print("schema", "--json");
  assertForm("schemas", listed);
  assertEquals(
    JSON.parse(listed).schemas.map(({ name }: { name: string }) => name),
    names,
  );
  const { $schema, title, ...rest } = JSON.parse(
    await print("schema", "trace"),
  );
  assertStringIncludes($schema, "2020-12");
  assertStringIncludes(title, "holdfast trace");
  assertEquals(rest.anyOf, SCHEMAS.trace!.schema.anyOf);
  const { code, stderr } = await runCli(["schema", "trase"]);
  assertEquals(code, 64);
  assertStringIncludes(stderr, "did you mean 'trace'");
});

Deno.test("documents about a held and waited-for lock have their form", async () => {
  using dir = new TempDir();
  const path = dir.join("lock");
  await using _holder = await holdFlock(path);
  await using waiter = HelperProcess.spawn(
    Deno.execPath(),
    cliArgs(["run", "--json-events", "1", path, "--", "true"]),
  );
  const waiting = await waiter.nextLine();
  assertForm("run-events", waiting!);
  assertEquals(JSON.parse(waiting!).event, "waiting");
  for (let locks = ""; !locks.includes('"blockerPids":[');) {
    locks = await print("locks", "--json", dir.path);
    assertForm("locks", locks);
  }
  assertForm("lslocks", await print("locks", "-J", "--output-all", dir.path));
  assertForm("who", await print("who", "--json", path, dir.join("none")));
  assertForm("test", await print("test", "--json", path));
  assertForm("doctor", await print("doctor", "--json", "--probe", path));
  assertForm("gc", await print("gc", "--json", dir.path));
});

Deno.test("the changes that a watch tells have their form", async () => {
  using dir = new TempDir();
  const path = dir.join("lock");
  await using _early = await holdFlock(dir.join("early"));
  await using watch = HelperProcess.spawn(
    Deno.execPath(),
    cliArgs(["locks", "--json", "--watch=20ms", dir.path]),
  );
  const seen = new Set<string>();
  const until = async (event: string) => {
    while (!seen.has(event)) {
      const line = (await watch.nextLine())!;
      assertForm("locks-watch", line);
      seen.add(JSON.parse(line).event);
    }
  };
  await until("held");
  const holder = await holdFlock(path);
  await until("acquired");
  const waiter = await runScript(
    'const file = open(args[0]);\nsay("ready");\nflock(file);',
    path,
  );
  await until("waiting");
  await waiter[Symbol.asyncDispose]();
  await until("gave-up");
  await holder.finish();
  await until("released");
});

Deno.test("a deadlock in JSON has its form", async () => {
  using dir = new TempDir();
  const script = `const [a, b] = args.map(open);
flock(a);
say("ready");
line();
flock(b);`;
  const [a, b] = [dir.join("a"), dir.join("b")];
  await using first = await runScript(script, a, b);
  await using second = await runScript(script, b, a);
  await first.writeLine("");
  await second.writeLine("");
  for (;;) {
    const printed = await print("locks", "--deadlocks", "--json", dir.path);
    assertForm("deadlocks", printed);
    if (JSON.parse(printed).deadlocks.length > 0) return;
  }
});

Deno.test("documents about link locks and slots have their form", async () => {
  using dir = new TempDir();
  const link = dir.join("link");
  const slots = dir.join("slots");
  Deno.mkdirSync(slots);
  await using holder = await HelperProcess.start(
    Deno.execPath(),
    cliArgs(
      ["run", "-k", "link", link, "--", "sh", "-c", "echo ready; read _"],
    ),
  );
  assertForm("link", await print("link", "show", "--json", link));
  assertForm("who", await print("who", "--json", link));
  assertForm("link", await print("link", "sweep", "--json", link));
  await holder.finish();
  assertForm("link", await print("link", "show", "--json", link));
  assertForm("link", await print("link", "break", "--json", link));
  await using _seated = await HelperProcess.start(
    Deno.execPath(),
    cliArgs([
      "run",
      "--slots",
      "2",
      slots,
      "--",
      "sh",
      "-c",
      "echo ready; read _",
    ]),
  );
  assertForm("slots", await print("slots", "--json", slots));
});

Deno.test("the events of runs have their form, and so has their report", async () => {
  using dir = new TempDir();
  const path = dir.join("lock");
  const events = dir.join("events");
  const run = (...args: string[]) =>
    runCli(["run", "-q", "--json-events", events, path, ...args]);
  await run("--", "sh", "-c", "exit 3");
  await run("--", "sh", "-c", "kill -9 $$");
  const holder = await holdFlock(path);
  await run("-n", "--", "true");
  const waiter = run("--", "true");
  await until(() => Deno.readTextFileSync(events).includes('"waiting"'));
  await holder.finish();
  await waiter;
  const printed = Deno.readTextFileSync(events);
  assertForm("run-events", printed);
  const told = printed.trimEnd().split("\n")
    .map((line) => JSON.parse(line).event);
  assertEquals(
    new Set(told),
    new Set([
      "acquired",
      "started",
      "exited",
      "released",
      "waiting",
      "timeout",
    ]),
  );
  assertForm("report", await print("report", "--json", events));
  assertForm(
    "report",
    await print("report", "--json", "--since", "0s", events),
  );
});

const { ignore, suffix } = needsTracing;

Deno.test({
  name: `the lines of a trace have their form, and so has its report${suffix}`,
  ignore,
  async fn() {
    using dir = new TempDir();
    const [a, b] = [dir.join("a"), dir.join("b")];
    const trace = dir.join("trace");
    // Orders that clash, and a refusal.
    const nested = (outer: string, inner: string) =>
      `const [outer, inner] = [${JSON.stringify(outer)}, ${
        JSON.stringify(inner)
      }].map(open);
flock(outer); flock(inner); say("ready"); line();`;
    const script = dir.join("script.ts");
    Deno.writeTextFileSync(
      script,
      `import { runScript } from "${new URL(
        "../../support/run_script.ts",
        import.meta.url,
      )}";
const first = await runScript(${JSON.stringify(nested(a, b))});
await (await runScript('say(tryFlock(open(args[0])) ? "" : "ready");', "${a}")).finish();
await first.finish();
await (await runScript(${JSON.stringify(nested(b, a))})).finish();`,
    );
    // The caller's own lock, which all share, keeps none of them apart.
    using elsewhere = new TempDir();
    using _around = await acquire(elsewhere.join("around"));
    const { code, stderr } = await runCli([
      "trace",
      "-o",
      trace,
      dir.path,
      "--",
      Deno.execPath(),
      "run",
      "-A",
      "--quiet",
      "--config",
      fromFileUrl(new URL("../../../deno.json", import.meta.url)),
      script,
    ]);
    assertEquals(code, 0, stderr);
    const printed = Deno.readTextFileSync(trace);
    assertForm("trace", printed);
    const events = printed.trimEnd().split("\n")
      .map((line) => JSON.parse(line).event);
    for (
      const event of ["trace-started", "acquired", "refused", "released"]
    ) assert(events.includes(event), `${event} in ${printed}`);
    const report = await print("report", "--json", trace);
    assertForm("report", report);
    const { inversions, locks } = JSON.parse(report);
    assertEquals(locks.length, 2, printed);
    // An order that clashes, by two real processes.
    assertEquals(
      inversions.map(({ steps }: { steps: { wanted: { file: object } }[] }) =>
        steps.length
      ),
      [2],
      printed,
    );
  },
});
