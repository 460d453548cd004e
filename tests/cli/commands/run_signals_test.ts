import { assert, assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl } from "@std/path/from-file-url";
import { cliArgs, runCli } from "../../support/cli.ts";
import { HelperProcess } from "../../support/helper_process.ts";
import {
  flockComesFree,
  holdFlock,
  isFlockFree,
} from "../../support/foreign_flock.ts";
import { TempDir } from "../../support/temp_dir.ts";
import { until } from "../../support/until.ts";

const NEW_SESSION = fromFileUrl(
  new URL("../../support/new_session.ts", import.meta.url),
);
const NEW_GROUP = fromFileUrl(
  new URL("../../support/new_group.ts", import.meta.url),
);

/** A command that says "ready" and its process id, and waits on stdin. */
const WAIT = "echo ready $$; read -r _";

interface Run extends AsyncDisposable {
  helper: HelperProcess;
  /** The process id of the command. */
  pid: number;
}

/** Starts `holdfast run … -- sh -c SCRIPT` until the script says "ready PID". */
async function start(
  options: string[],
  script: string,
  before: string[] = [],
): Promise<Run> {
  const helper = HelperProcess.spawn(Deno.execPath(), [
    ...before,
    ...cliArgs(["run", ...options, "--", "sh", "-c", script], ["--allow-ffi"]),
  ]);
  const line = await helper.nextLine();
  assertMatch(line ?? "", /^ready \d+$/);
  return {
    helper,
    pid: Number(line!.slice(6)),
    [Symbol.asyncDispose]: () => helper[Symbol.asyncDispose](),
  };
}

function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(
      Deno.readTextFileSync(`/proc/${pid}/status`),
    );
  } catch {
    return false;
  }
}

Deno.test("run: signals are passed on, and the command's end awaited", async () => {
  using directory = new TempDir();
  const lock = directory.join("l");
  const signals = [
    "SIGTERM",
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGUSR1",
    "SIGUSR2",
    "SIGWINCH",
    "SIGCONT",
  ] as const;
  for (const signal of signals) {
    await using run = await start(
      [lock],
      `trap 'echo got it; read -r _; exit 9' ${signal.slice(3)}; ` +
        "echo ready $$; while :; do sleep 0.01; done",
    );
    run.helper.kill(signal);
    assertEquals(await run.helper.nextLine(), "got it", signal);
    assert(!isFlockFree(lock), signal);
    assertEquals((await run.helper.finish()).code, 9, signal);
    assert(isFlockFree(lock), signal);
  }
});

Deno.test("run: a signal that the command dies of", async () => {
  using directory = new TempDir();
  const lock = directory.join("l");
  const codes = { SIGTERM: 143, SIGHUP: 129, SIGINT: 130, SIGUSR1: 138 };
  for (const [signal, code] of Object.entries(codes)) {
    await using run = await start([lock], "echo ready $$; exec sleep 100");
    run.helper.kill(signal as Deno.Signal);
    assertEquals((await run.helper.status).code, code, signal);
    assert(!isAlive(run.pid), signal);
    assert(isFlockFree(lock), signal);
  }
});

Deno.test("run: a signal during the wait ends it, and nothing starts", async () => {
  using directory = new TempDir();
  const lock = directory.join("l");
  const mark = directory.join("started");
  await using _holder = await holdFlock(lock);
  for (const signal of ["SIGTERM", "SIGHUP", "SIGINT"] as const) {
    await using waiter = HelperProcess.spawn("sh", [
      "-c",
      'exec "$@" 2>&1',
      "sh",
      Deno.execPath(),
      ...cliArgs(["run", "-v", lock, "--", "touch", mark]),
    ]);
    assertMatch((await waiter.nextLine())!, /waiting/);
    waiter.kill(signal);
    assertEquals((await waiter.status).signal, signal);
  }
  assertEquals([...Deno.readDirSync(directory.path)].length, 1);
});

Deno.test("run: a signal at any moment before the wait ends it too", async () => {
  using directory = new TempDir();
  const lock = directory.join("l");
  await using _holder = await holdFlock(lock);
  const delays = Array.from({ length: 24 }, (_, index) => 15 + 2 * index);
  await Promise.all(delays.map(async (delayMs) => {
    await using waiter = HelperProcess.spawn(
      Deno.execPath(),
      cliArgs(["run", "-q", lock, "--", "true"]),
    );
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    waiter.kill("SIGTERM");
    assertEquals((await waiter.status).signal, "SIGTERM", `${delayMs} ms`);
  }));
});

Deno.test("run after a wait passes signals on, but for those it ignores", async () => {
  using directory = new TempDir();
  const lock = directory.join("l");
  await using holder = await holdFlock(lock);
  await using waiter = HelperProcess.spawn("sh", [
    "-c",
    `trap "" HUP; exec "$@" 2>&1`,
    "sh",
    Deno.execPath(),
    ...cliArgs([
      "run",
      "-v",
      lock,
      "--",
      "sh",
      "-c",
      `trap "echo got USR1; exit 5" USR1; echo up; while :; do sleep 0.01; done`,
    ]),
  ]);
  assertMatch((await waiter.nextLine())!, /waiting/);
  waiter.kill("SIGHUP");
  await holder.finish();
  let line: string | undefined;
  while (line !== "up") {
    line = await waiter.nextLine();
    assert(line !== undefined);
  }
  waiter.kill("SIGHUP");
  waiter.kill("SIGUSR1");
  assertEquals(await waiter.nextLine(), "got USR1");
  assertEquals((await waiter.status).code, 5);
});

Deno.test("run under nohup stays deaf to SIGHUP", async () => {
  using directory = new TempDir();
  const lock = directory.join("l");
  await using helper = HelperProcess.spawn("sh", [
    "-c",
    `trap "" HUP; exec "$@"`,
    "sh",
    Deno.execPath(),
    ...cliArgs(["run", lock, "--", "sh", "-c", `${WAIT}; exit 4`]),
  ]);
  await helper.nextLine();
  helper.kill("SIGHUP");
  assertEquals((await helper.finish()).code, 4);
});

Deno.test("run: the command is killed", async () => {
  using directory = new TempDir();
  const lock = directory.join("l");
  await using run = await start([lock], WAIT);
  Deno.kill(run.pid, "SIGKILL");
  assertEquals((await run.helper.status).code, 137);
  assert(isFlockFree(lock));
});

Deno.test("run: holdfast is killed, the command keeps the lock", async () => {
  using directory = new TempDir();
  const lock = directory.join("l");
  for (const options of [[], ["--on-supervisor-death", "keep"]]) {
    await using run = await start([...options, lock], WAIT);
    run.helper.kill("SIGKILL");
    await run.helper.status;
    assert(isAlive(run.pid));
    assert(!isFlockFree(lock));
    const who = await runCli(["who", "--json", lock]);
    assertEquals(
      JSON.parse(who.stdout).files[0].holders.map(
        ({ pid }: { pid: number }) => pid,
      ),
      [run.pid],
    );
    await run.helper.finish();
    assert(await flockComesFree(lock));
    assert(!isAlive(run.pid));
  }
});

Deno.test("run --on-supervisor-death kill: both are killed", async () => {
  using directory = new TempDir();
  const lock = directory.join("l");
  await using run = await start(
    ["--on-supervisor-death", "kill", lock],
    "echo ready $$; exec sleep 100",
  );
  run.helper.kill("SIGKILL");
  await run.helper.status;
  assert(await flockComesFree(lock));
  assert(!isAlive(run.pid));
});

Deno.test("run --on-supervisor-death kill passes everything else on", async () => {
  using directory = new TempDir();
  const result = await runCli([
    "run",
    "--on-supervisor-death",
    "kill",
    "--env",
    "A=1",
    directory.join("l"),
    "--",
    "sh",
    "-c",
    'echo $A $HOLDFAST_LOCK "$1"; exit 5',
    "sh",
    "-n --",
  ], { permissions: ["--allow-ffi"] });
  assertEquals(result, {
    code: 5,
    stdout: `1 ${directory.join("l")} -n --\n`,
    stderr: "",
  });
});

Deno.test("run: the shell around it is killed, nothing changes", async () => {
  using directory = new TempDir();
  const lock = directory.join("l");
  await using shell = HelperProcess.spawn("sh", [
    "-c",
    '"$@"; :',
    "sh",
    Deno.execPath(),
    ...cliArgs(["run", lock, "--", "sh", "-c", WAIT]),
  ]);
  const pid = Number((await shell.nextLine())!.slice(6));
  shell.kill("SIGKILL");
  await shell.status;
  assert(isAlive(pid));
  assert(!isFlockFree(lock));
  await shell.finish();
  assert(await flockComesFree(lock));
  assert(!isAlive(pid));
});

Deno.test("run: a daemon left behind doesn't keep the lock", async () => {
  using directory = new TempDir();
  const lock = directory.join("l");
  const fifo = directory.join("p");
  await new Deno.Command("mkfifo", { args: [fifo] }).output();
  const daemon = `cat ${fifo} >/dev/null 2>&1 & echo ready $!`;
  for (const [options, free] of [[[], true], [["--exec"], false]] as const) {
    await using run = await start([...options, lock], daemon);
    assertEquals((await run.helper.finish()).code, 0);
    assert(isAlive(run.pid), "the daemon is there");
    assertEquals(isFlockFree(lock), free, `${options}`);
    await Deno.writeTextFile(fifo, "");
    assert(await flockComesFree(lock));
  }
});

Deno.test("run: SIGTSTP stops both, SIGCONT continues both", async () => {
  using directory = new TempDir();
  await using run = await start(
    [directory.join("l")],
    `${WAIT}; exit 4`,
    ["run", "-A", "--no-check", "-q", NEW_GROUP, Deno.execPath()],
  );
  const stopped = (pid: number) =>
    until(() =>
      /^State:\tT/m.test(Deno.readTextFileSync(`/proc/${pid}/status`))
    );
  run.helper.kill("SIGTSTP");
  await stopped(run.pid);
  await stopped(run.helper.pid);
  run.helper.kill("SIGCONT");
  assertEquals((await run.helper.finish()).code, 4);
});

Deno.test("run: a SIGTSTP that the kernel discards, in an orphaned group, is forgotten", async () => {
  using directory = new TempDir();
  await using run = await start(
    [directory.join("l")],
    // It sees the SIGTSTP, so that the test does, and isn't stopped by it.
    "trap 'echo got TSTP' TSTP; trap 'exit 6' USR1; echo ready $$; " +
      "while :; do sleep 0.01; done",
    ["run", "-A", "--no-check", "-q", NEW_SESSION, Deno.execPath()],
  );
  run.helper.kill("SIGTSTP");
  assertEquals(await run.helper.nextLine(), "got TSTP");
  Deno.kill(run.pid, "SIGSTOP");
  await until(() =>
    /^State:\tT/m.test(Deno.readTextFileSync(`/proc/${run.pid}/status`))
  );
  Deno.kill(run.pid, "SIGCONT");
  Deno.kill(run.pid, "SIGUSR1");
  // A supervisor that has stopped itself would never tell.
  assertEquals((await run.helper.status).code, 6);
});

Deno.test("run --kill-after", async () => {
  using directory = new TempDir();
  const lock = directory.join("l");
  await using run = await start(
    ["--kill-after", "100ms", lock],
    "trap '' TERM; echo ready $$; while :; do sleep 0.01; done",
  );
  run.helper.kill("SIGTERM");
  assertEquals((await run.helper.status).code, 137);
  assert(isFlockFree(lock));
});

Deno.test("run --kill-after a month doesn't kill at once", async () => {
  using directory = new TempDir();
  await using run = await start(
    ["--kill-after", "30d", directory.join("l")],
    "trap 'echo got TERM' TERM; trap 'echo got USR1' USR1; " +
      "trap 'exit 6' USR2; echo ready $$; while :; do sleep 0.01; done",
  );
  run.helper.kill("SIGTERM");
  assertEquals(await run.helper.nextLine(), "got TERM");
  // Each goes through the event loop that a timer of 1 ms would have used.
  for (let round = 0; round < 5; round++) {
    run.helper.kill("SIGUSR1");
    assertEquals(await run.helper.nextLine(), "got USR1");
  }
  run.helper.kill("SIGUSR2");
  assertEquals((await run.helper.status).code, 6);
});
