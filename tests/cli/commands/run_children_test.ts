import { assertEquals, assertMatch } from "@std/assert";
import { cliArgs } from "../../support/cli.ts";
import { holdFlock } from "../../support/foreign_flock.ts";
import { HelperProcess } from "../../support/helper_process.ts";
import { needs } from "../../support/programs.ts";
import { type ProgramResult, runProgram } from "../../support/run_program.ts";
import { needsMounts } from "../../support/private_mounts.ts";
import { TempDir } from "../../support/temp_dir.ts";
import { until } from "../../support/until.ts";
import { within } from "../../support/within.ts";

const bash = needs("bash");

/** Runs the tool with SIGCHLD ignored; dash leaves that signal alone. */
function runDeafToChildren(args: string[]): Promise<ProgramResult> {
  return runProgram("bash", [
    "-c",
    `trap "" CHLD; exec "$@"`,
    "bash",
    Deno.execPath(),
    ...cliArgs(args, ["--allow-ffi"]),
  ]);
}

/** Says whether SIGCHLD, bit 16, is ignored, and ends with 7. */
const SAY_IGNORED = "while read -r name mask; do " +
  'if [ "$name" = SigIgn: ]; then ' +
  "case $mask in *[13579bdf]????) echo deaf ;; *) echo hears ;; esac; fi; " +
  "done </proc/self/status; exit 7";

for (
  const [name, args] of [
    ["run", ["run"]],
    ["run --exec", ["run", "--exec"]],
    ["run --on-supervisor-death kill", [
      "run",
      "--on-supervisor-death",
      "kill",
    ]],
    ["flock", ["flock"]],
    ["flock --no-fork", ["flock", "-F"]],
    ["flock --close", ["flock", "-o"]],
  ] satisfies [string, string[]][]
) {
  Deno.test({
    name: `${name}: SIGCHLD inherited as ignored is put right, as by flock(1)` +
      bash.suffix,
    ignore: bash.ignore,
    fn: async () => {
      using directory = new TempDir();
      const dashes = args[0] === "run" ? ["--"] : [];
      assertEquals(
        await runDeafToChildren([
          ...args,
          directory.join("l"),
          ...dashes,
          "sh",
          "-c",
          SAY_IGNORED,
        ]),
        { code: 7, stdout: "hears\n", stderr: "" },
      );
    },
  });
}

const withGrep = needs("bash", "grep");

Deno.test({
  name:
    "run and flock: -w works where every real-time signal is ignored, and " +
    "the command finds them so" + withGrep.suffix,
  ignore: withGrep.ignore,
  fn: async () => {
    using directory = new TempDir();
    const lock = directory.join("l");
    const runDeaf = (args: string[]) =>
      runProgram("bash", [
        "-c",
        `trap "" {34..64}; exec "$@"`,
        "bash",
        Deno.execPath(),
        ...cliArgs(args, ["--allow-ffi"]),
      ]);
    await using holder = await holdFlock(lock);
    const inTime = await Promise.all([
      runDeaf(["run", "-q", "-w", "50ms", lock, "--", "true"]),
      runDeaf(["flock", "-w", "0.05", lock, "true"]),
    ]);
    assertEquals(inTime.map(({ code, stderr }) => [code, stderr]), [
      [75, ""],
      [1, ""],
    ]);
    const say = ["grep", "SigIgn", "/proc/self/status"];
    const waiting = Promise.all([
      runDeaf(["run", "-q", "-w", "1m", lock, "--", ...say]),
      runDeaf(["run", "-q", "--exec", "-w", "1m", lock, "--", ...say]),
    ]);
    await holder.finish();
    for (const { code, stdout, stderr } of await waiting) {
      assertEquals([code, stderr], [0, ""]);
      // Bits 33 to 63; posix_spawn(3) of glibc ignores two of its own besides.
      assertMatch(stdout, /^SigIgn:\tf{7}[ef][08]0{7}\n$/);
    }
  },
});

const namespace = needsMounts();

Deno.test({
  name: "run as the first process of a container reaps orphans" +
    namespace.suffix,
  ignore: namespace.ignore,
  fn: async () => {
    using directory = new TempDir();
    // The inner shell doesn't wait for its child, which is an orphan then.
    const script = `
      orphan=$(sh -c '(exit 0) >/dev/null & echo $!')
      for _ in $(seq 1000); do
        [ -e /proc/$orphan ] || { echo reaped; exit 5; }
        sleep 0.01
      done
      echo left; exit 6`;
    const { code, stdout } = await runProgram("unshare", [
      "-pf",
      "--mount-proc",
      Deno.execPath(),
      ...cliArgs(["run", directory.join("l"), "--", "sh", "-c", script], [
        "--allow-ffi",
      ]),
    ]);
    assertEquals([code, stdout], [5, "reaped\n"]);
  },
});

/** The only child of a process, which it has or is about to have. */
async function childOf(parent: number): Promise<number> {
  let found: number | undefined;
  await until(() => {
    for (const { name } of Deno.readDirSync("/proc")) {
      if (!/^\d+$/.test(name)) continue;
      try {
        const status = Deno.readTextFileSync(`/proc/${name}/status`);
        if (status.includes(`\nPPid:\t${parent}\n`)) found = Number(name);
      } catch {
        // It has just ended.
      }
    }
    return found !== undefined;
  });
  return found!;
}

for (
  const [options, signal, code] of [
    [[], "SIGTERM", 143],
    [[], "SIGINT", 130],
    [["--exec"], "SIGTERM", 143],
    [["--kind", "both"], "SIGTERM", 143],
    [["--fair"], "SIGTERM", 143],
    [["--kind", "link"], "SIGTERM", 143],
    [["--slots", "1"], "SIGTERM", 143],
  ] satisfies [string[], Deno.Signal, number][]
) {
  Deno.test({
    name: `run ${options.join(" ")}: as the first process of a container, ` +
      `${signal} ends the wait for the lock${namespace.suffix}`,
    ignore: namespace.ignore,
    fn: async () => {
      using directory = new TempDir();
      const words = ["run", ...options, directory.join("l"), "--"];
      await using _holder = await HelperProcess.start(
        Deno.execPath(),
        cliArgs([
          ...words.filter((word) => word !== "--exec"),
          ...["sh", "-c", "echo ready; read -r _"],
        ]),
      );
      const waiter = new Deno.Command("unshare", {
        args: [
          ...["-pf", "--kill-child", "--mount-proc", Deno.execPath()],
          ...cliArgs(["run", "-v", ...words.slice(1), "echo", "never"]),
        ],
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
      try {
        const reader = waiter.stderr.getReader();
        const said = new TextDecoder().decode((await reader.read()).value);
        assertMatch(said, /waiting|held by/);
        reader.releaseLock();
        Deno.kill(await childOf(waiter.pid), signal);
        const ended = await within(waiter.status, "the end of the wait");
        assertEquals(ended.code, code);
        assertEquals(await new Response(waiter.stdout).text(), "");
      } finally {
        try {
          waiter.kill("SIGKILL");
        } catch {
          // It has ended, as it should.
        }
        await waiter.stderr.cancel();
      }
    },
  });
}

for (const command of ["transform", "append", "cache"]) {
  Deno.test({
    name: `${command}: as the first process of a container, SIGTERM ends the ` +
      `wait for the lock${namespace.suffix}`,
    ignore: namespace.ignore,
    fn: async () => {
      using directory = new TempDir();
      const path = directory.join("l");
      Deno.mkdirSync(directory.join("c/.locks"), { recursive: true });
      await using _holder = await holdFlock(
        command === "cache" ? directory.join("c/.locks/k.lock") : path,
      );
      const operands = {
        transform: [path, "--", "cat"],
        append: [path],
        cache: [directory.join("c"), "k", "--", "cat"],
      }[command]!;
      await using waiter = HelperProcess.spawn("unshare", [
        ...["-pf", "--kill-child", "--mount-proc", Deno.execPath()],
        ...cliArgs([command, ...operands]),
      ]);
      const ended = waiter.finish();
      const pid = await childOf(waiter.pid);
      // It is in the kernel's list of those who wait, by its number here.
      await until(() =>
        Deno.readTextFileSync("/proc/locks").split("\n")
          .some((line) => /->/.test(line) && line.includes(` ${pid} `))
      );
      Deno.kill(pid, "SIGTERM");
      assertEquals((await ended).code, 143);
    },
  });
}

Deno.test("run: its own children are left alone where it isn't the first process", async () => {
  using directory = new TempDir();
  // The shell's child becomes a child of the tool, which the shell has become.
  const result = await runProgram("sh", [
    "-c",
    // The child ends once the shell, which would reap it, is no more.
    "shell=$(readlink /proc/$$/exe); " +
    '(while [ "$(readlink /proc/$$/exe)" = "$shell" ]; do :; done; exit 3) & ' +
    'mine=$!; exec "$@" $mine',
    "sh",
    Deno.execPath(),
    ...cliArgs([
      "run",
      directory.join("l"),
      "--",
      "sh",
      "-c",
      `for _ in $(seq 1000); do
        while read -r key value; do
          case "$key $value" in "State: Z"*) echo zombie; exit;; esac
        done </proc/$0/status
        sleep 0.01
      done`,
    ]),
  ]);
  assertEquals(result, { code: 0, stdout: "zombie\n", stderr: "" });
});

Deno.test("run: a lease that was lost before the command starts is noticed, and nothing starts", async () => {
  using directory = new TempDir();
  const [lock, mark] = [directory.join("l"), directory.join("started")];
  const module = (path: string) =>
    JSON.stringify(new URL(`../../../${path}`, import.meta.url).href);
  // The thread sleeps as a stopped process does: no timer runs meanwhile.
  const { code, stdout, stderr } = await runProgram(Deno.execPath(), [
    "eval",
    "--quiet",
    `import { tryLinkLock } from ${module("lib/lock/link/mod.ts")};
    import { Supervisor } from ${module("cli/commands/run/supervise.ts")};
    const lock = tryLinkLock(Deno.args[0], { leaseMs: 100 });
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 150);
    const supervisor = new Supervisor(["touch", Deno.args[1]]);
    await supervisor.run(lock).catch(({ message }) => console.log(message));
    Deno.exit(3);`,
    lock,
    mark,
  ]);
  assertEquals([code, stderr], [3, ""]);
  assertMatch(stdout, /its lease ran out/);
  assertEquals(
    [...Deno.readDirSync(directory.path)].some(({ name }) =>
      name === "started"
    ),
    false,
  );
});
