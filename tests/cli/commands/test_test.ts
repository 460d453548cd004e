import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { tryFlock } from "../../../lib/lock/flock/flock.ts";
import { tryRecordLock } from "../../../lib/lock/record/record_lock_attempt.ts";
import { runCli } from "../../support/cli.ts";
import { TempDir } from "../../support/temp_dir.ts";

Deno.test("test says who is in the way of a flock, and shares with sharers", async () => {
  using directory = new TempDir();
  const path = directory.join("lock");
  {
    using _lock = tryFlock(path, { mode: "shared" })!;
    const held = await runCli(["test", path]);
    assertEquals(held.code, 1);
    assertStringIncludes(held.stdout, "not free for an exclusive flock");
    assertStringIncludes(held.stdout, `pid=${Deno.pid} cmd=`);
    const shared = await runCli(["test", "--shared", path]);
    assertEquals(shared, {
      code: 0,
      stdout: `"${path}": free for a shared flock\n`,
      stderr: "",
    });
  }
  assertEquals((await runCli(["test", path])).code, 0);
});

Deno.test("test asks the kernel about a range, and doesn't take it", async () => {
  using directory = new TempDir();
  const path = directory.join("lock");
  using _lock = tryRecordLock(path, {
    range: { startByte: 10n, lengthBytes: 5n },
  })!;
  const args = ["test", "--json", "-k", "ofd", "--range"];
  const held = await runCli([...args, "14:0", path]);
  assertEquals(held.code, 1);
  const report = JSON.parse(held.stdout);
  assertEquals(report.holders.length, 1);
  assertEquals(report.holders[0].pid, Deno.pid);
  assertEquals({ ...report, holders: [], unreadableProcesses: 0 }, {
    schema: 1,
    path,
    exists: true,
    kind: "ofd",
    kindReason: null,
    mode: "exclusive",
    startByte: "14",
    endByte: null,
    free: false,
    unknown: null,
    holders: [],
    blocking: { type: "write", startByte: "10", lengthBytes: "5", pid: -1 },
    unreadableProcesses: 0,
  });
  for (const range of ["15:1", "0:10", "10:-10", "0xf:0x10"]) {
    const free = await runCli([...args, range, path]);
    assertEquals([free.code, JSON.parse(free.stdout).free], [0, true], range);
  }
  assertEquals((await runCli(["test", path])).code, 0);
  assertEquals((await runCli(["test", "-k", "both", path])).code, 1);
});

Deno.test("test creates nothing, and says what can't be locked", async () => {
  using directory = new TempDir();
  const path = directory.join("lock");
  const absent = await runCli(["test", path]);
  assertEquals(absent.code, 0);
  assertMatch(absent.stdout, /free .* there is no such file yet\n$/);
  assertEquals([...Deno.readDirSync(directory.path)], []);
  const noDirectory = await runCli(["test", directory.join("no/lock")]);
  assertEquals(noDirectory.code, 66);
  assertStringIncludes(noDirectory.stderr, "there is no directory");
  Deno.writeTextFileSync(path, "");
  for (const noDirectory of [`${path}/`, directory.join("new/")]) {
    const { code, stderr } = await runCli(["test", noDirectory]);
    assertEquals(code, 66);
    assertStringIncludes(stderr, "ends with a slash");
  }
  const device = await runCli(["test", "/dev/null"]);
  assertEquals(device.code, 65);
  assertStringIncludes(device.stderr, "character device");
});

Deno.test("test refuses what makes no sense", async () => {
  for (
    const [args, message] of [
      [[], "missing lock file"],
      [["a", "b"], "unexpected operand 'b'"],
      [["--range", "0:1", "a"], "--range goes with"],
      [["-k", "ofd", "--range", "1:-2", "a"], "starts before the file"],
      [["-k", "ofd", "--range", "1-2", "a"], "invalid range: '1-2'"],
    ] as const
  ) {
    const { code, stderr } = await runCli(["test", ...args]);
    assertEquals(code, 64);
    assertStringIncludes(stderr, message);
  }
});
