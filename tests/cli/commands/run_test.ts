import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { fromFileUrl } from "@std/path/from-file-url";
import { cliArgs, runCli } from "../../support/cli.ts";
import { HelperProcess } from "../../support/helper_process.ts";
import { flockCommand, holdFlock } from "../../support/foreign_flock.ts";
import { asNobody, needsNobody } from "../../support/nobody.ts";
import { TempDir } from "../../support/temp_dir.ts";

/** All that README lists for `run`. */
const PERMISSIONS = ["--allow-ffi"];

function run(
  args: string[],
  options: { env?: Record<string, string>; cwd?: string } = {},
) {
  return runCli(["run", ...args], { permissions: PERMISSIONS, ...options });
}

const TRY = "Try 'holdfast run --help' for more information.\n";

Deno.test("run: the command's output and exit code", async () => {
  using directory = new TempDir();
  const lock = directory.join("l");
  const script = "echo out; echo err >&2; exit 7";
  assertEquals(await run([lock, "--", "sh", "-c", script]), {
    code: 7,
    stdout: "out\n",
    stderr: "err\n",
  });
  assertEquals(Deno.statSync(lock).size, 0);
});

Deno.test("run: 128 and the number of a signal", async () => {
  using directory = new TempDir();
  const lock = directory.join("l");
  for (const [signal, code] of [["KILL", 137], ["TERM", 143], ["INT", 130]]) {
    const { code: got } = await run([
      lock,
      "--",
      "sh",
      "-c",
      `kill -${signal} $$`,
    ]);
    assertEquals(got, code, `${signal}`);
  }
});

Deno.test("run: 127 and 126 for a command that can't be run", async () => {
  using directory = new TempDir();
  const lock = directory.join("l");
  Deno.writeTextFileSync(directory.join("c"), "");
  for (const exec of [[], ["--exec"]]) {
    assertEquals(await run([...exec, lock, "--", "holdfast-no-such"]), {
      code: 127,
      stdout: "",
      stderr: 'holdfast run: Cannot execute "holdfast-no-such": execve ' +
        "returned ENOENT (2), no such file or directory; is it installed, " +
        "and in PATH?\n",
    });
    assertEquals(await run([...exec, lock, "--", directory.join("c")]), {
      code: 126,
      stdout: "",
      stderr: `holdfast run: Cannot execute "${directory.join("c")}": ` +
        "execve returned EACCES (13), permission denied\n",
    });
  }
});

Deno.test("run: a script without #! runs by the shell", async () => {
  using directory = new TempDir();
  Deno.writeTextFileSync(directory.join("c"), 'echo "ran $1"\n', {
    mode: 0o755,
  });
  for (const exec of [[], ["--exec"]]) {
    const { code, stdout } = await run([
      ...exec,
      directory.join("l"),
      "--",
      directory.join("c"),
      "a b",
    ]);
    assertEquals([code, stdout], [0, "ran a b\n"]);
  }
});

Deno.test("run: HOLDFAST_LOCK, --env, --cwd, -c, --shell", async () => {
  using directory = new TempDir();
  const { path } = directory;
  const options = { cwd: path };
  const both = await run(
    ["a", "b", "-c", 'echo "$HOLDFAST_LOCK" "$0" "$1"', "--", "x y"],
    options,
  );
  assertEquals(both.stdout, `${path}/a:${path}/b /bin/sh x y\n`);
  Deno.mkdirSync(directory.join("sub"));
  const there = await run(
    ["a", "--cwd", "sub", "--env", "A=1=2", "--env", "B=", "--", "sh", "-c"]
      .concat(['echo "$PWD $A [$B] $HOLDFAST_LOCK"']),
    options,
  );
  assertEquals(there.stdout, `${path}/sub 1=2 [] ${path}/a\n`);
  const bash = await run(
    ["a", "--shell", "/bin/bash", "-c", "echo $0 ${BASH_VERSION:+bash}"],
    { ...options, env: { SHELL: "/bin/false" } },
  );
  assertEquals(bash.stdout, "/bin/bash bash\n");
});

Deno.test("run: one that contends names the holder, waits, gets it", async () => {
  using directory = new TempDir();
  const lock = directory.join("l");
  const holder = HelperProcess.spawn(Deno.execPath(), [
    ...cliArgs(["run", lock, "--", "sh", "-c", "echo ready $$; read -r _"]),
  ]);
  const [, pid] = (await holder.nextLine())!.split(" ");

  const refused = await run(["-n", lock, "--", "true"]);
  assertEquals([refused.code, refused.stdout], [75, ""]);
  assertStringIncludes(
    refused.stderr,
    `holdfast run: Cannot lock "${lock}": it is held by somebody else; ` +
      "holders:\n",
  );
  assertMatch(
    refused.stderr,
    new RegExp(`^  pid=${pid} cmd=sh -c echo ready`, "m"),
  );
  assertMatch(
    refused.stderr,
    new RegExp(`^  pid=${holder.pid} cmd=.* run `, "m"),
  );
  const quiet = await run(["-q", "-n", "-E", "9", lock, "--", "true"]);
  assertEquals(quiet, { code: 9, stdout: "", stderr: "" });
  const late = await run(["-q", "-w", "50ms", lock, "--", "true"]);
  assertEquals(late.code, 75);

  const waiter = HelperProcess.spawn("sh", [
    "-c",
    '"$@" 2>&1',
    "sh",
    Deno.execPath(),
    ...cliArgs(["run", "-v", "-w", "30", lock, "--", "echo", "got it"]),
  ]);
  const waiting = (await waiter.nextLine())!;
  assertStringIncludes(waiting, ` for "${lock}", held by pid=`);
  assertStringIncludes(waiting, `pid=${pid} cmd=sh -c echo ready`);
  assertEquals((await holder.finish()).code, 1);
  assertMatch((await waiter.nextLine())!, /^holdfast run: took ".*" after /);
  assertEquals(await waiter.nextLine(), "got it");
  assertEquals((await waiter.finish()).code, 0);
  await holder[Symbol.asyncDispose]();
  await waiter[Symbol.asyncDispose]();
});

Deno.test("run -s shares, -x doesn't", async () => {
  using directory = new TempDir();
  const lock = directory.join("l");
  await using _holder = await holdFlock(lock, "shared");
  assertEquals((await run(["-s", "-n", lock, "--", "true"])).code, 0);
  assertEquals((await run(["-q", "-n", lock, "--", "true"])).code, 75);
  assertEquals((await run(["-sxqn", lock, "--", "true"])).code, 75);
});

Deno.test("run: several files are taken all or none", async () => {
  using directory = new TempDir();
  const [a, b] = [directory.join("a"), directory.join("b")];
  {
    await using _holder = await holdFlock(b);
    assertEquals((await run(["-qn", a, b, "--", "true"])).code, 75);
    assertEquals((await run(["-qn", a, "--", "true"])).code, 0);
  }
  for (const file of [a, b]) {
    const [command, args] = flockCommand("-n", file, "true");
    const inner = await run([a, b, "--", command, ...args]);
    assertEquals(inner.code, 1, "both are held");
  }
  Deno.symlinkSync(a, directory.join("same"));
  const twice = await run([a, directory.join("same"), a, "--", "true"]);
  assertEquals(twice.code, 0, "a file named twice is locked once");
});

Deno.test("run: the order of lock files can't deadlock", async () => {
  using directory = new TempDir();
  const [a, b] = [directory.join("a"), directory.join("b")];
  const rounds = Array.from({ length: 12 }, (_, index) => {
    const files = index % 2 === 0 ? [a, b] : [b, a];
    return run(["-w", "30", ...files, "--", "true"]);
  });
  const results = await Promise.all(rounds);
  assertEquals(results.filter(({ code }) => code !== 0), []);
});

Deno.test("run: hostile lock files, one sentence and the right code", async () => {
  using directory = new TempDir();
  const { path } = directory;
  Deno.symlinkSync("loop", directory.join("loop"));
  await new Deno.Command("mkfifo", { args: [directory.join("fifo")] }).output();
  const long = `${path}/${"d".repeat(200)}`.padEnd(5000, "/x");
  const cases: [string, number, RegExp][] = [
    [`${path}/loop`, 66, /ELOOP .*; its symbolic links form a loop$/],
    [`${path}/fifo`, 65, /it is a fifo; a lock file must be/],
    [`${path}/none/l`, 66, /ENOENT .*; the directory .* does not exist/],
    [`${path}/n\u001b[31m\n/l`, 66, /n\\x1b\[31m\\n/],
    [long, 66, /ENAMETOOLONG/],
    ["", 66, /path/],
    ["/dev/null", 65, /it is a character device/],
  ];
  for (const [file, code, message] of cases) {
    const result = await run([file, "--", "true"]);
    const label = `${file.slice(-30)}: ${JSON.stringify(result)}`;
    assertEquals([result.code, result.stdout], [code, ""], label);
    assertEquals(result.stderr.split("\n").length, 2, label);
    assertMatch(result.stderr, /^holdfast run: Cannot /, label);
    assertMatch(result.stderr.trimEnd(), message, label);
  }
  assertEquals((await run([path, "--", "true"])).code, 0, "a directory");
});

const nobody = needsNobody();

Deno.test({
  name: `run: a file that may not be read${nobody.suffix}`,
  ignore: nobody.ignore,
  fn: () => {
    using directory = new TempDir();
    Deno.chmodSync(directory.path, 0o755);
    const lock = directory.join("l");
    Deno.writeTextFileSync(lock, "", { mode: 0o600 });
    const { code, stderr } = asNobody(
      directory,
      Deno.execPath(),
      cliArgs(["run", lock, "--", "true"], PERMISSIONS),
    );
    const text = new TextDecoder().decode(stderr);
    assertEquals(code, 66, text);
    assertMatch(text, /open returned EACCES .*; check the permissions/);
  },
});

Deno.test("run: mistakes on the command line", async () => {
  const cases: [string[], string][] = [
    [["--", "true"], "missing lock file"],
    [["l"], "missing command"],
    [["l", "true"], "missing command"],
    [["l", "--"], "missing command"],
    [["-n", "-E", "256", "l", "--", "true"], "invalid exit code: '256'"],
    [["-w", "soon", "l", "--", "true"], "invalid timeout: 'soon'"],
    [["--kind", "flok", "l", "--", "true"], "invalid argument 'flok'"],
    [["--shell", "sh", "l", "--", "true"], "--shell goes with -c"],
    [["--env", "A", "l", "--", "true"], "invalid variable: 'A'"],
    [["--env", "=A", "l", "--", "true"], "invalid variable: '=A'"],
    [["--exec", "--report", "l", "--", "true"], "--report can't go with"],
    [["--tiemout", "3", "l", "--", "true"], "option '--tiemout'"],
    [["-k", "link", "", "--", "true"], 'A link lock must be named: ""'],
    [["-k", "link", "a/", "--", "true"], 'A link lock must be named: "a/"'],
    [
      ["-k", "link", "--message", "x".repeat(5000), "l", "--", "true"],
      "message must be at most 4096 characters",
    ],
  ];
  using directory = new TempDir();
  for (const [args, message] of cases) {
    const { code, stdout, stderr } = await run(args, { cwd: directory.path });
    assertEquals([code, stdout], [64, ""], stderr);
    assertStringIncludes(stderr, message);
    assert(stderr.endsWith(TRY), stderr);
  }
  assertEquals([...Deno.readDirSync(directory.path)], [], "nothing is made");
  // To look for what was meant takes the permission to load more of the tool.
  const { stderr } = await runCli(["run", "--tiemout", "3", "l", "--", "true"]);
  assertStringIncludes(stderr, "did you mean '--timeout'");
});

Deno.test("run --json-events to a file and to a descriptor", async () => {
  using directory = new TempDir();
  const lock = directory.join("l");
  const file = directory.join("events");
  await using holder = await holdFlock(lock);
  // On a busy machine, loading what waits takes part of it.
  await run(["-q", "-w", "500ms", "--json-events", file, lock, "--", "true"]);
  await holder.finish();
  await run(["--json-events", file, lock, "--", "sh", "-c", "exit 3"]);
  const { stdout } = await new Deno.Command("sh", {
    args: [
      "-c",
      'exec "$@" 5>&1 >/dev/null',
      "sh",
      Deno.execPath(),
      ...cliArgs(
        ["run", "--json-events", "5", lock, "--", "sh", "-c", "kill -9 $$"],
        PERMISSIONS,
      ),
    ],
  }).output();
  const text = Deno.readTextFileSync(file) + new TextDecoder().decode(stdout);
  const events = text.trimEnd().split("\n").map((line) => JSON.parse(line));
  for (const event of events) {
    assertEquals([event.schema, event.locks], [1, [lock]]);
    assert(!Number.isNaN(Date.parse(event.time)));
  }
  assertEquals(
    events.map(({ event }) => event),
    [
      "waiting",
      "timeout",
      ...["acquired", "started", "exited", "released"],
      ...["acquired", "started", "exited", "released"],
    ],
  );
  assert(events[1].waitMs >= 500);
  const [, , , started, exited, released] = events;
  assertEquals(
    [exited.pid, exited.code, exited.signal],
    [started.pid, 3, null],
  );
  assert(released.holdMs > 0 && released.waitMs >= 0);
  assertEquals([events[8].code, events[8].signal], [null, "SIGKILL"]);
});

Deno.test("run --report says how long it waited and held", async () => {
  using directory = new TempDir();
  const { code, stderr } = await run([
    "--report",
    directory.join("l"),
    "--",
    "sleep",
    "0.1",
  ]);
  assertEquals(code, 0);
  assertMatch(
    stderr,
    /^holdfast run: waited [\d.]+ m?s, held (1\d\d|[2-9]\d\d) ms\n$/,
  );
});

Deno.test("run: events that can't be written are refused at once", async () => {
  using directory = new TempDir();
  const lock = directory.join("l");
  for (const target of ["9", directory.join("none/events")]) {
    const result = await run(["--json-events", target, lock, "--", "true"]);
    assertMatch(result.stderr, /^holdfast run: Cannot [^\n]*\n$/);
    assert(result.code >= 65, result.stderr);
  }
});

Deno.test("bin/holdfast works through links and from anywhere", async () => {
  using directory = new TempDir();
  const wrapper = fromFileUrl(
    new URL("../../../bin/holdfast", import.meta.url),
  );
  Deno.mkdirSync(directory.join("sub"));
  Deno.symlinkSync(wrapper, directory.join("sub/one"));
  Deno.symlinkSync("sub/one", directory.join("hf"));
  const { code, stdout } = await new Deno.Command("sh", {
    args: ["-c", 'PATH="$PWD:$PATH"; hf run l -- echo hi'],
    cwd: directory.path,
    env: { HOLDFAST_DENO: Deno.execPath() },
  }).output();
  assertEquals([code, new TextDecoder().decode(stdout)], [0, "hi\n"]);
});

Deno.test("run without --allow-ffi says so", async () => {
  const { code, stderr } = await runCli(["run", "/tmp/l", "--", "true"], {
    permissions: [],
  });
  assertEquals(code, 77);
  assertMatch(
    stderr,
    /^holdfast run: Deno did not permit .*run holdfast with --allow-ffi\n$/,
  );
});

Deno.test("run: what a POSIX record lock can't do", async () => {
  using directory = new TempDir();
  for (const option of ["--exec", "--on-supervisor-death=keep"]) {
    const { code, stderr } = await run([
      option,
      "--kind=posix",
      directory.join("l"),
      "--",
      "true",
    ]);
    assertEquals(code, 64, stderr);
    assertStringIncludes(stderr, "can't go with");
  }
});

Deno.test("run --cwd to a directory that isn't there", async () => {
  using directory = new TempDir();
  const lock = directory.join("l");
  assertEquals(await run(["--cwd", "/no/such", lock, "--", "true"]), {
    code: 66,
    stdout: "",
    stderr: 'holdfast run: Cannot change to directory "/no/such": chdir ' +
      "returned ENOENT (2), no such file or directory\n",
  });
});
