import { ensureDirSync } from "@std/fs/ensure-dir";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { fromFileUrl } from "@std/path/from-file-url";
import { holdFlock } from "./support/foreign_flock.ts";
import { type ProgramResult, runProgram } from "./support/run_program.ts";
import { TempDir } from "./support/temp_dir.ts";

const EXAMPLES = fromFileUrl(new URL("../examples", import.meta.url));
const CONFIG = fromFileUrl(new URL("../deno.json", import.meta.url));
const HOLDFAST = fromFileUrl(new URL("../bin/holdfast", import.meta.url));

function run(
  command: string,
  args: string[],
  env: Record<string, string> = {},
): Promise<ProgramResult> {
  return runProgram(command, args, { env, cwd: EXAMPLES });
}

/** Runs a script of the examples with `holdfast` in PATH. */
function runScript(
  name: string,
  args: string[],
  dir: TempDir,
  env: Record<string, string> = {},
): Promise<ProgramResult> {
  ensureDirSync(dir.join("bin"));
  for (
    const [link, target] of [["holdfast", HOLDFAST], ["deno", Deno.execPath()]]
  ) {
    try {
      Deno.symlinkSync(target!, dir.join(`bin/${link}`));
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    }
  }
  const path = `${dir.join("bin")}:${Deno.env.get("PATH")}`;
  return run(`${EXAMPLES}/${name}`, args, { PATH: path, ...env });
}

function runModule(name: string, flags: string[], args: string[]) {
  return run(Deno.execPath(), [
    "run",
    "--quiet",
    "--no-prompt",
    `--config=${CONFIG}`,
    ...flags,
    `${EXAMPLES}/${name}`,
    ...args,
  ]);
}

Deno.test("cron_overlap.sh: runs, skips quietly, passes the exit code on", async () => {
  using dir = new TempDir();
  const lock = dir.join("job.lock");
  const job = [lock, "sh", "-c", "echo ran; exit 7"];
  assertEquals(await runScript("cron_overlap.sh", job, dir), {
    code: 7,
    stdout: "ran\n",
    stderr: "",
  });
  await using _holder = await holdFlock(lock);
  assertEquals(await runScript("cron_overlap.sh", job, dir), {
    code: 0,
    stdout: "",
    stderr: "",
  });
  assertEquals((await runScript("cron_overlap.sh", [], dir)).code, 64);
});

Deno.test("deploy_gate.sh: deploys, or says who is in the way", async () => {
  using dir = new TempDir();
  const lock = dir.join("deploy.lock");
  const args = [lock, "echo", "deployed"];
  const free = await runScript("deploy_gate.sh", args, dir);
  assertEquals([free.code, free.stdout], [0, "deployed\n"]);
  assertStringIncludes(free.stderr, "waited");
  await using holder = await holdFlock(lock);
  const busy = await runScript("deploy_gate.sh", args, dir, {
    DEPLOY_WAIT: "100ms",
  });
  assertEquals([busy.code, busy.stdout], [75, ""]);
  assertStringIncludes(busy.stderr, `pid=${holder.pid}`);
});

Deno.test("deploy_gate.sh: stops unless doctor says that the place is good", async () => {
  using dir = new TempDir();
  // Nothing can be created there.
  const args = ["/proc/no/deploy.lock", "echo", "deployed"];
  const { code, stdout, stderr } = await runScript("deploy_gate.sh", args, dir);
  assert(code !== 0);
  assertEquals(stdout, "");
  assertStringIncludes(stderr, "/proc/no");
});

Deno.test("build_cache.ts: eight at a time, one of them builds", async () => {
  using dir = new TempDir();
  const flags = ["--allow-ffi", "--allow-read", "--allow-write"];
  const results = await Promise.all(
    Array.from(
      { length: 8 },
      () => runModule("build_cache.ts", flags, [dir.path, "app"]),
    ),
  );
  for (const { code, stderr } of results) assertEquals(code, 0, stderr);
  const said = results.map(({ stdout }) => stdout.split(" ")[0]).sort();
  assertEquals(said, ["built", ...Array(7).fill("found")]);
  assertEquals(Deno.readTextFileSync(dir.join("builds.log")), "app\n");
});

Deno.test("ci_slots.ts: as many at a time as there are slots", async () => {
  using dir = new TempDir();
  const slots = dir.join("slots");
  // Each counts who else is in: a directory is made or removed in one step.
  const job = `mkdir "${dir.path}/in.$CI_SLOT" && sleep 0.05 &&
    ls -d "${dir.path}"/in.* | wc -l && rmdir "${dir.path}/in.$CI_SLOT"`;
  const results = await Promise.all(
    Array.from(
      { length: 6 },
      () =>
        runModule(
          "ci_slots.ts",
          ["--allow-ffi", "--allow-run", "--allow-env"],
          [
            slots,
            "2",
            "sh",
            "-c",
            job,
          ],
        ),
    ),
  );
  for (const { code, stdout, stderr } of results) {
    assertEquals(code, 0, stderr);
    const inside = Number(stdout);
    assert(inside >= 1 && inside <= 2, stdout);
  }
  const busy = await runModule("ci_slots.ts", ["--allow-ffi", "--allow-run"], [
    slots,
    "2",
    "sh",
    "-c",
    "exit 3",
  ]);
  assertEquals(busy.code, 3, busy.stderr);
});

Deno.test("one_liners.sh: each prints its line", async () => {
  using dir = new TempDir();
  const lock = dir.join("a.lock");
  const expected = (first: string, holders: RegExp) =>
    new RegExp(
      `^${first}\n${holders.source}\n(flock|posix|ofd|link| )+\n\\w+\nsome\n$`,
    );
  await using holder = await holdFlock(lock);
  const busy = await runScript("one_liners.sh", [lock], dir);
  assert(
    expected("busy", new RegExp(` *pid=${holder.pid} .*`)).test(busy.stdout),
    busy.stdout + busy.stderr,
  );
});
