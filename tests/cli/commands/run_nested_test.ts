import { assert, assertEquals, assertMatch } from "@std/assert";
import { EXIT } from "../../../cli/ui/exit_codes.ts";
import { cliArgs, runCli } from "../../support/cli.ts";
import { HelperProcess } from "../../support/helper_process.ts";
import type { ProgramResult } from "../../support/run_program.ts";
import { TempDir } from "../../support/temp_dir.ts";

/** A command line of this tool, to be run by another one. */
function holdfast(...args: string[]): string[] {
  return [Deno.execPath(), ...cliArgs(args, ["--allow-ffi"])];
}

/** The same with what link locks need. */
function holdfastOnLinks(...args: string[]): string[] {
  return [Deno.execPath(), ...cliArgs(args)];
}

function assertRefused(result: ProgramResult, path: string): void {
  assertEquals(result.code, EXIT.SELF_DEADLOCK, result.stderr);
  assertEquals(result.stdout, "");
  assertMatch(
    result.stderr,
    /^holdfast run: Cannot lock "[^"]+": its holder is an ancestor of this process \(pid=\d+ cmd=.+\) and waits for it, so the wait would never end; .+\n$/,
  );
  assert(result.stderr.includes(`"${path}"`), result.stderr);
}

for (
  const [name, outer, inner] of [
    ["flock", [], []],
    ["a shared lock, exclusively", ["-s"], []],
    ["an exclusive lock, shared", [], ["-s"]],
    ["ofd", ["-k", "ofd"], ["-k", "ofd"]],
    ["posix by posix", ["-k", "posix"], ["-k", "posix"]],
    ["posix by ofd", ["-k", "posix"], ["-k", "ofd"]],
    ["both", ["-k", "both"], ["-k", "both"]],
    ["flock by both", [], ["-k", "both"]],
    ["in turn", ["--fair"], ["--fair"]],
  ] satisfies [string, string[], string[]][]
) {
  Deno.test(`run below a run that holds the lock is told at once: ${name}`, async () => {
    using directory = new TempDir();
    const lock = directory.join("l");
    assertRefused(
      await runCli([
        "run",
        ...outer,
        lock,
        "--",
        ...holdfast("run", ...inner, lock, "--", "echo", "reached"),
      ]),
      lock,
    );
  });
}

Deno.test("run that has become a command with the lock is told that it holds it", async () => {
  using directory = new TempDir();
  const lock = directory.join("l");
  const inner = holdfast("run", lock, "--", "echo", "reached");
  const { code, stdout, stderr } = await runCli([
    "run",
    "--exec",
    lock,
    "--",
    ...inner,
  ]);
  assertEquals([code, stdout], [EXIT.SELF_DEADLOCK, ""]);
  assertMatch(
    stderr,
    /^holdfast run: Cannot lock "[^"]+": this process \(pid=\d+ cmd=.+\) holds it and would wait for itself; .+\n$/,
  );
  assertRefused(
    await runCli([
      "run",
      "--exec",
      lock,
      "--",
      "sh",
      "-c",
      '"$@"; exit $?',
      "sh",
      ...inner,
    ]),
    lock,
  );
});

Deno.test("run below a run that holds the link lock is told at once", async () => {
  using directory = new TempDir();
  const lock = directory.join("l");
  assertRefused(
    await runCli([
      "run",
      "-k",
      "link",
      lock,
      "--",
      ...holdfastOnLinks("run", "-k", "link", lock, "--", "echo", "reached"),
    ]),
    lock,
  );
});

Deno.test("run below two runs is told of the outer one's lock, by another name", async () => {
  using directory = new TempDir();
  const [a, b, link] = ["a", "b", "c:d"].map((name) => directory.join(name));
  await Deno.symlink("a", link!);
  assertRefused(
    await runCli([
      "run",
      a!,
      "--",
      ...holdfast(
        "run",
        b!,
        "--",
        "sh",
        "-c",
        '"$@"; exit $?',
        "sh",
        ...holdfast("run", link!, "--", "echo", "reached"),
      ),
    ]),
    link!,
  );
});

Deno.test("run below a run that has all slots is told at once, and takes one that is left", async () => {
  using directory = new TempDir();
  const nested = (slots: string) =>
    runCli([
      "run",
      "--slots",
      slots,
      directory.path,
      "--",
      ...holdfast(
        "run",
        "--slots",
        slots,
        directory.path,
        "--",
        "sh",
        "-c",
        "echo $HOLDFAST_SLOT",
      ),
    ]);
  assertRefused(await nested("1"), directory.path);
  assertEquals(await nested("2"), { code: 0, stdout: "1\n", stderr: "" });
});

Deno.test("run below a run that has reserved its CPUs is told at once, unless they are shared", async () => {
  using directory = new TempDir();
  const nested = (outer: string[], inner: string[]) =>
    runCli([
      ...["run", "--cpus", "1", ...outer, "--"],
      ...holdfast("run", "--cpus", "1", ...inner, "--", "echo", "reached"),
    ], { env: { HOLDFAST_LOCK_DIR: directory.path } });
  for (const kind of [[], ["--shared"], ["--performance"]]) {
    const { code, stdout, stderr } = await nested([], kind);
    assertEquals([code, stdout], [EXIT.SELF_DEADLOCK, ""], stderr);
    assertMatch(
      stderr,
      /^holdfast run: Cannot lock ".+\/cpu\/(cpu|llc)\.\d+\.lock": its holder is an ancestor of this process \(pid=\d+ cmd=.+\) and waits for it, so the wait would never end; .+\n$/,
    );
  }
  assertEquals(await nested(["--shared"], ["--shared"]), {
    code: 0,
    stdout: "reached\n",
    stderr: "",
  });
  const waited = await nested([], ["-n"]);
  assertEquals(waited.code, 75, waited.stderr);
});

Deno.test("run below a run: what is no deadlock is none", async () => {
  using directory = new TempDir();
  const [a, b] = [directory.join("a"), directory.join("b")];
  for (
    const [outer, inner] of [
      [[a], [b]],
      [["-s", a], ["-s", a]],
      [["-k", "ofd", a], [a]],
      [["-k", "ofd", "--range", "0:1", a], [
        "-k",
        "ofd",
        "--range",
        "1:1",
        a,
      ]],
    ]
  ) {
    const result = await runCli([
      "run",
      ...outer!,
      "--",
      ...holdfast("run", ...inner!, "--", "echo", "reached"),
    ]);
    assertEquals(result, { code: 0, stdout: "reached\n", stderr: "" });
  }
});

Deno.test("run below a run with a deadline, or without waiting, ends with 75", async () => {
  using directory = new TempDir();
  const lock = directory.join("l");
  for (const wait of [["-n"], ["-w", "20ms"]]) {
    const { code, stderr } = await runCli([
      "run",
      lock,
      "--",
      ...holdfast("run", ...wait, lock, "--", "true"),
    ]);
    assertEquals(code, EXIT.TEMP_FAIL);
    assertMatch(stderr, / \(an ancestor of this process\)$/m);
  }
});

Deno.test("run --allow-nested waits, and a job left behind gets the lock when the command ends", async () => {
  using directory = new TempDir();
  const lock = directory.join("l");
  await using job = HelperProcess.spawn(Deno.execPath(), [
    ...cliArgs([
      "run",
      lock,
      "--",
      "sh",
      "-c",
      '"$@" 2>&1 & read -r _; exit 0',
      "sh",
      ...holdfast(
        "run",
        "-v",
        "--allow-nested",
        lock,
        "--",
        "echo",
        "reached",
      ),
    ], ["--allow-ffi"]),
  ]);
  assertMatch((await job.nextLine())!, /^holdfast: waiting .* ancestor/);
  await job.writeLine("end");
  let line = await job.nextLine();
  while (line !== undefined && line !== "reached") line = await job.nextLine();
  assertEquals(line, "reached");
});

Deno.test("run beside a holder that isn't its ancestor waits", async () => {
  using directory = new TempDir();
  const lock = directory.join("l");
  await using holder = await HelperProcess.start(Deno.execPath(), [
    ...cliArgs(["run", lock, "--", "sh", "-c", "echo ready; read -r _"]),
  ]);
  // Not a descendant of the holder, whatever it was told.
  await using waiter = HelperProcess.spawn("sh", [
    "-c",
    'exec "$@" 2>&1',
    "sh",
    ...holdfast("run", "-v", lock, "--", "echo", "reached"),
  ], { env: { HOLDFAST_LOCK: lock } });
  assertMatch((await waiter.nextLine())!, /^holdfast: waiting/);
  await holder.finish();
  let line = await waiter.nextLine();
  while (line !== undefined && line !== "reached") {
    line = await waiter.nextLine();
  }
  assertEquals(line, "reached");
});
