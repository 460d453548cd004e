import { assert, assertEquals, assertMatch } from "@std/assert";
import { readLinkLockOwner, tryLinkLock } from "../../../lib/lock/link/mod.ts";
import { cliArgs, runCli } from "../../support/cli.ts";
import { HelperProcess } from "../../support/helper_process.ts";
import { TempDir } from "../../support/temp_dir.ts";

function hold(dir: TempDir, ...more: string[]): Promise<HelperProcess> {
  return HelperProcess.start(
    Deno.execPath(),
    cliArgs([
      "run",
      "--kind",
      "link",
      ...more,
      dir.join("a"),
      "--",
      "sh",
      "-c",
      "echo ready; read -r _; echo $HOLDFAST_LOCK $HOLDFAST_FENCE",
    ]),
  );
}

Deno.test("run --kind link holds the lock for the command's time", async () => {
  using dir = new TempDir();
  await using holder = await hold(dir, "--message", "nightly");
  const busy = await runCli(["run", "-k", "link", "-n", dir.join("a"), "true"]
    .toSpliced(-1, 0, "--"));
  assertEquals(busy.code, 75);
  assertMatch(
    busy.stderr,
    new RegExp(`held by pid ${holder.pid} on .*nightly`),
  );
  await holder.writeLine("");
  assertEquals(await holder.nextLine(), `${dir.join("a")} 1`);
  assertEquals((await holder.status).code, 0);
  assertEquals(readLinkLockOwner(dir.join("a")), undefined);
});

Deno.test("run --kind link ends the command when the lease is lost", async () => {
  using dir = new TempDir();
  await using holder = await hold(dir, "--lease", "1s");
  Deno.renameSync(dir.join("a"), dir.join("b"));
  assertEquals((await holder.status).code, 65);
});

Deno.test("link show and who name the owner", async () => {
  using dir = new TempDir();
  const path = dir.join("a");
  assertEquals((await runCli(["link", "show", path])).code, 0);
  using _lock = tryLinkLock(path, { message: "bell \x07" });
  const shown = await runCli(["link", "show", path]);
  assertEquals(shown.code, 1);
  assertMatch(shown.stdout, new RegExp(`pid ${Deno.pid} on .*bell \\\\x07`));
  assertMatch(shown.stdout, /alive: its process is running; holder number 1/);
  const json = JSON.parse(
    (await runCli(["link", "show", "--json", path]))
      .stdout,
  );
  assertEquals(json.schema, 1);
  assertEquals([json.held, json.owner.pid, json.owner.liveness], [
    true,
    Deno.pid,
    "alive",
  ]);
  const who = await runCli(["who", path]);
  assertEquals(who.code, 1);
  assertMatch(who.stdout, new RegExp(`held by a link lock\n.*pid ${Deno.pid}`));
  const whoJson = JSON.parse((await runCli(["who", "--json", path])).stdout);
  assertEquals(whoJson.files[0].held, true);
  assertEquals(whoJson.files[0].linkOwner.pid, Deno.pid);
});

Deno.test("link break: the dead, and by force the living", async () => {
  using dir = new TempDir();
  const path = dir.join("a");
  {
    await using holder = await hold(dir);
    const refused = await runCli(["link", "break", path]);
    assertEquals(refused.code, 65);
    assertMatch(refused.stderr, /its process is running/);
    const unasked = await runCli(["link", "break", "--force", path]);
    assertEquals(unasked.code, 64);
    assertMatch(unasked.stderr, /will go on as if it held the lock/);
    assertEquals(readLinkLockOwner(path)?.pid, holder.pid);
    holder.kill("SIGKILL");
    await holder.status;
  }
  const broken = await runCli(["link", "break", "--json", path]);
  assertEquals(JSON.parse(broken.stdout), {
    schema: 1,
    path,
    broken: true,
    outcome: "broken",
  });
  const lock = tryLinkLock(path)!;
  const forced = await runCli(["link", "break", "--force", "--yes", path]);
  assertEquals(forced.code, 0);
  assertEquals(readLinkLockOwner(path), undefined);
  lock.release();
  assertMatch((await runCli(["link", "break", path])).stdout, /free already/);
});

Deno.test("link sweep says what it leaves", async () => {
  using dir = new TempDir();
  const path = dir.join("a");
  const junk = dir.join(`.a.${"0".repeat(32)}.new`);
  Deno.writeTextFileSync(junk, "");
  const swept = await runCli(["link", "sweep", path]);
  assertEquals(swept.code, 0);
  assertMatch(swept.stdout, /left, .*it is empty/);
  assert(Deno.statSync(junk).isFile);
});

Deno.test("link sweep removes a record that was begun a day ago and never finished", async () => {
  using dir = new TempDir();
  const path = dir.join("a");
  const name = (digit: string, end: string) =>
    dir.join(`.a.${digit.repeat(32)}.${end}`);
  const [empty, half, young, claim] = [
    name("1", "new"),
    name("2", "new"),
    name("3", "new"),
    name("4", "claim-0"),
  ];
  for (const file of [empty, young, claim]) Deno.writeTextFileSync(file, "");
  Deno.writeTextFileSync(half, '{"token":');
  const before = new Date(Date.now() - 25 * 3600 * 1000);
  for (const file of [empty, half, claim]) {
    Deno.utimeSync(file, before, before);
  }
  const dry = await runCli(["link", "sweep", "--dry-run", path]);
  assertEquals([dry.code, [...Deno.readDirSync(dir.path)].length], [0, 4]);
  const swept = await runCli(["link", "sweep", "--json", path]);
  assertEquals(
    JSON.parse(swept.stdout).files
      .map(({ path, removed }: { path: string; removed: boolean }) => [
        path,
        removed,
      ]),
    [[empty, true], [half, true], [young, false], [claim, false]],
  );
  assertEquals(
    [...Deno.readDirSync(dir.path)].map(({ name }) => dir.join(name)).sort(),
    [young, claim],
  );
});

Deno.test("mistakes in link commands are usage errors", async () => {
  for (
    const [args, says] of [
      [["link"], /missing action/],
      [["link", "brek", "x"], /did you mean 'break'/],
      [["link", "show"], /missing path/],
      [["run", "-k", "link", "-s", "x", "--", "true"], /can't be shared/],
      [["run", "-k", "link", "x", "y", "--", "true"], /one lock file/],
      [["run", "-k", "link", "--lease", "1ms", "x", "--", "true"], /lease/],
    ] as const
  ) {
    const { code, stderr } = await runCli([...args]);
    assertEquals(code, 64, stderr);
    assertMatch(stderr, says);
  }
});
