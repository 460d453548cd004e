/** File names are bytes: no command judges a file that was not named. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { readLinkLockOwner } from "../../../lib/acquire/link_lock.ts";
import { tryFlock } from "../../../lib/lock/flock/flock.ts";
import { statPath } from "../../../lib/sys/file.ts";
import { cliArgs } from "../../support/cli.ts";
import { needsMounts } from "../../support/private_mounts.ts";
import { type ProgramResult, runProgram } from "../../support/run_program.ts";
import { TempDir } from "../../support/temp_dir.ts";

/** Runs the tool; `{}` in an argument stands for a byte that is no UTF-8. */
function runOnBytes(args: string[]): Promise<ProgramResult> {
  const script = "i=$#; while [ $i -gt 0 ]; do i=$((i-1)); a=$1; shift; " +
    'case $a in *{}*) a="${a%%{\\}*}$(printf "\\377")${a#*{\\}}";; esac; ' +
    'set -- "$@" "$a"; done; exec "$@"';
  return runProgram("sh", [
    "-c",
    script,
    "sh",
    Deno.execPath(),
    ...cliArgs(args),
  ]);
}

Deno.test("every command works on a path that is not UTF-8", async () => {
  using dir = new TempDir();
  // What such a path looks like to the runtime; it is free.
  Deno.writeTextFileSync(dir.join("odd\ufffd.lock"), "");
  using _held = tryFlock(dir.join("odd\udcff.lock"))!;
  const path = dir.join("odd{}.lock");
  const cases: [args: string[], code: number][] = [
    [["who", path], 1],
    [["test", path], 1],
    [["locks", path], 0],
    [["run", "--nonblock", path, "--", "true"], 75],
    [["run", "--nonblock", "--fair", path, "--", "true"], 75],
    [["flock", "--nonblock", path, "true"], 1],
    [["gc", "--dry-run", dir.path], 0],
  ];
  for (const [args, code] of cases) {
    const result = await runOnBytes(args);
    const all = result.stdout + result.stderr;
    assertEquals(result.code, code, `${args[0]}: ${all}`);
    if (args[0] !== "flock") {
      assertMatch(all, /odd\\xff\.lock/, args[0]);
      if (args[0] !== "gc") {
        assertMatch(all, new RegExp(`\\b${Deno.pid}\\b`), args[0]);
      }
    }
  }
  const { stdout } = await runOnBytes(["doctor", path]);
  assertMatch(stdout, /odd\\xff\.lock": safe/);
});

Deno.test("paths that are not UTF-8 are told apart in JSON", async () => {
  using dir = new TempDir();
  using _held = tryFlock(dir.join("odd\udcff"))!;
  const { stdout } = await runOnBytes(["who", "--json", dir.join("odd{}")]);
  const [file] = JSON.parse(stdout).files;
  assertEquals([file.path, file.held], [dir.join("odd\udcff"), true]);
});

Deno.test("what is made of a path that is not UTF-8 is made there", async () => {
  using dir = new TempDir();
  const { code, stdout, stderr } = await runOnBytes([
    "run",
    dir.join("new{}"),
    "--",
    "sh",
    "-c",
    'printf %s "$HOLDFAST_LOCK$0" | od -An -tx1 | tr -d " \\n"',
    "a{}",
  ]);
  assertEquals(code, 0, stderr);
  assert(stdout.endsWith("6e6577ff61ff"), stdout);
  assert(statPath(dir.join("new\udcff")) !== undefined);
  assertEquals(statPath(dir.join("new\ufffd")), undefined);
});

Deno.test("a link lock refuses a path that is not UTF-8, and makes nothing", async () => {
  using dir = new TempDir();
  for (
    const args of [
      ["run", "--kind", "link", dir.join("odd{}"), "--", "true"],
      ["link", "show", dir.join("odd{}")],
    ]
  ) {
    const { code, stderr } = await runOnBytes(args);
    assertEquals(code, 65, stderr);
    assertMatch(stderr, /odd\\xff" as a link lock: .*not UTF-8/);
  }
  assertEquals([...Deno.readDirSync(dir.path)], []);
  assertEquals(readLinkLockOwner(dir.join("odd\ufffd")), undefined);
});

Deno.test("U+FFFD itself is a name like any other", async () => {
  using dir = new TempDir();
  using _held = tryFlock(dir.join("odd\ufffd"))!;
  const { code } = await runOnBytes(["who", dir.join("odd\ufffd")]);
  assertEquals(code, 1);
});

const mounts = needsMounts();

Deno.test({
  name: "without /proc such an argument is refused" + mounts.suffix,
  ignore: mounts.ignore,
  async fn() {
    const { code, stderr } = await runProgram("unshare", [
      "-m",
      "sh",
      "-c",
      'mount -t tmpfs none /proc && exec "$@"',
      "sh",
      Deno.execPath(),
      ...cliArgs(["who", "/tmp/odd\ufffd"]),
    ]);
    assertEquals(code, 64, stderr);
    assertMatch(stderr, /isn't UTF-8, or has U\+FFFD in it: '\/tmp\/odd/);
  },
});
