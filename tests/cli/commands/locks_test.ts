import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { cliArgs, runCli } from "../../support/cli.ts";
import { HelperProcess } from "../../support/helper_process.ts";
import {
  flockCommand,
  holdFlock,
  waitForFlock,
} from "../../support/foreign_flock.ts";
import { asNobody, needsNobody } from "../../support/nobody.ts";
import { needs } from "../../support/programs.ts";
import { needsMounts } from "../../support/private_mounts.ts";
import { runProgram } from "../../support/run_program.ts";
import { runScript } from "../../support/run_script.ts";
import { assertRead } from "../../support/settled.ts";
import { TempDir } from "../../support/temp_dir.ts";

/** Waits until a process sleeps for a lock on one of a directory's files. */
async function untilWaiting(directory: string, count = 1): Promise<void> {
  for (;;) {
    const { stdout } = await runCli(["locks", "--json", directory]);
    if (JSON.parse(stdout).waiters.length >= count) return;
  }
}

async function lines(...args: string[]): Promise<string[]> {
  const { code, stdout } = await runCli(["locks", ...args]);
  assertEquals(code, 0);
  return stdout.trimEnd().split("\n");
}

Deno.test("locks: a row for the lock and one for who waits", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  await using holder = await holdFlock(path);
  await using waiter = waitForFlock(path);
  await untilWaiting(dir.path);
  const [heading, ...rows] = await lines(path);
  assertEquals(
    heading?.split(/ +/).join(" "),
    "COMMAND PID TYPE SIZE MODE M START END WAITED BLOCKER PATH",
  );
  assertEquals(
    rows.map((row) => row.replace(/<[\d.]+ m?s/, "WAIT").split(/ +/).join(" ")),
    [
      `sh ${holder.pid} FLOCK 0B WRITE 0 0 0 ${path}`,
      `deno ${waiter.pid} FLOCK 0B WRITE* 0 0 0 WAIT ${holder.pid} ${path}`,
    ],
  );
});

Deno.test("locks --json: schema 1, every key, null where unknown", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  await using holder = await holdFlock(path);
  await using waiter = waitForFlock(path);
  await untilWaiting(dir.path);
  const { code, stdout } = await runCli(["locks", "--json", path]);
  assertEquals(code, 0);
  const document = JSON.parse(stdout);
  assertEquals(Object.keys(document), [
    "schema",
    "readAt",
    "unreadableProcesses",
    "unnamedFiles",
    "unparsedLines",
    "locks",
    "waiters",
  ]);
  assertEquals(document.schema, 1);
  const [lock] = document.locks;
  const [wait] = document.waiters;
  const stat = Deno.statSync(path);
  const range = {
    type: "FLOCK",
    enforcement: "ADVISORY",
    mode: "WRITE",
    startByte: "0",
    endByte: null,
    file: { ...lock.file, path, pathStatus: "here", sizeBytes: "0" },
  };
  if (lock.file.fsType === "ext4") {
    assertEquals(lock.file.inode, String(stat.ino));
  }
  assertEquals(Object.keys(lock.file), [
    "path",
    "pathStatus",
    "device",
    "inode",
    "sizeBytes",
    "fsType",
    "mountPoint",
  ]);
  const [{ process }] = lock.holders;
  assertEquals(
    [process.pid, process.name, process.alive],
    [holder.pid, "sh", true],
  );
  assertEquals(lock, {
    id: lock.id,
    ...range,
    takerPid: holder.pid,
    listed: true,
    heldSince: null,
    holders: [{
      process,
      fds: lock.holders[0].fds,
      sources: ["taker", "descriptor"],
    }],
  });
  assertEquals(wait, {
    id: wait.id,
    ...range,
    process: wait.process,
    waitedAtMostMs: wait.waitedAtMostMs,
    waitingSince: null,
    blockers: [lock.id],
    blockerPids: [holder.pid],
  });
  assertEquals(wait.process.pid, waiter.pid);
  // To the second that the kernel tells a process's start by.
  assertEquals(
    wait.waitedAtMostMs,
    Math.max(
      0,
      Date.parse(document.readAt) - Date.parse(wait.process.startTime),
    ),
  );
});

const lslocks = needs("lslocks");

Deno.test({
  name: `locks -J says of a lock what lslocks -J says${lslocks.suffix}`,
  ignore: lslocks.ignore,
  async fn() {
    using dir = new TempDir();
    const path = dir.join("a.lock");
    Deno.writeTextFileSync(path, "x".repeat(3000));
    await using _flock = await holdFlock(path, "shared");
    await using _posix = await runScript(
      `posix(open(args[0]), [5, 10]); say("ready"); end();`,
      path,
    );
    await using _waiter = waitForFlock(path);
    await untilWaiting(dir.path);
    const columns = "COMMAND,PID,TYPE,SIZE,MODE,M,START,END,PATH";
    for (const more of [[], ["-b"]]) {
      type Rows = { path: string | null; pid: number }[];
      const parse = (text: string): Rows =>
        (JSON.parse(text).locks as Rows).filter((row) => row.path === path)
          .sort((a, b) => a.pid - b.pid);
      const ours = await runCli(["locks", "-J", "-o", columns, ...more]);
      // While other locks come and go, lslocks misses some now and then.
      let expected: Rows = [];
      for (let i = 0; i < 20 && expected.length !== 3; i++) {
        const args = ["-J", "-o", columns, ...more];
        expected = parse((await runProgram("lslocks", args)).stdout);
      }
      assertEquals(expected.length, 3);
      assertEquals(parse(ours.stdout), expected);
    }
  },
});

Deno.test("locks: columns, headings, raw, bytes", async () => {
  using dir = new TempDir();
  const path = dir.join("a b");
  Deno.writeTextFileSync(path, "x".repeat(1536));
  await using holder = await holdFlock(path);
  assertEquals(
    await lines("-n", "-o", "pid,size,path", path),
    [`${holder.pid} 1.5K ${path}`],
  );
  assertEquals(
    await lines("-nrb", "-o", "pid,size,path", path),
    [`${holder.pid} 1536 ${path.replace(" ", "\\x20")}`],
  );
  assertMatch(
    (await lines("-o", "+HOLDERS", path))[1]!,
    new RegExp(` ${holder.pid},sh,\\d+$`),
  );
  assertStringIncludes((await lines("--output-all", path))[0]!, "PATHSTATUS");
  assertEquals((await lines("-H")).length, 27);
  const { code, stderr } = await runCli(["locks", "-o", "PIDD"]);
  assertEquals(code, 64);
  assertStringIncludes(stderr, "unknown column: PIDD");
});

Deno.test("locks --raw escapes every byte once, as lslocks does", async () => {
  using dir = new TempDir();
  await using _holder = await holdFlock(dir.join('a\nb \\ é"'));
  assertEquals(
    await lines("-rn", "-o", "PATH", dir.path),
    [`${dir.path}/a\\x0ab\\x20\\x5c\\x20\\xc3\\xa9"`],
  );
});

Deno.test("locks: what is asked for", async () => {
  using dir = new TempDir();
  Deno.mkdirSync(dir.join("sub"));
  await using a = await holdFlock(dir.join("a.lock"));
  await using _b = await holdFlock(dir.join("sub/b.lock"));
  await using _c = await runScript(
    `posix(open(args[0]), [0, 0]); say("ready"); end();`,
    dir.join("c.pos"),
  );
  Deno.symlinkSync(dir.join("a.lock"), dir.join("link"));
  const names = async (...args: string[]) =>
    (await lines("-n", "-o", "PATH", "--sort", "path", ...args))
      .map((path) => path.replace(`${dir.path}/`, ""));
  await assertRead(() => names(dir.path), ["a.lock", "c.pos", "sub/b.lock"]);
  await assertRead(() => names(dir.join("link")), ["a.lock"]);
  await assertRead(() => names(dir.join("sub")), ["sub/b.lock"]);
  await assertRead(() => names(dir.join("*.lock")), ["a.lock"]);
  await assertRead(() => names(dir.join("**/*.lock")), [
    "a.lock",
    "sub/b.lock",
  ]);
  await assertRead(() => names("--path", "?.pos", dir.path), ["c.pos"]);
  await assertRead(() => names("--type", "posix", dir.path), ["c.pos"]);
  await assertRead(() => names("--held-by", "deno", dir.path), ["c.pos"]);
  await assertRead(() => names("-p", `${a.pid}`, dir.path), ["a.lock"]);
  await assertRead(() => names("--sort", "-PATH", dir.path), [
    "sub/b.lock",
    "c.pos",
    "a.lock",
  ]);
  // Observing creates nothing.
  const { code, stdout } = await runCli(["locks", dir.join("none")]);
  assertEquals([code, stdout], [0, ""]);
  assertEquals([...Deno.readDirSync(dir.path)].map(({ name }) => name).sort(), [
    "a.lock",
    "c.pos",
    "link",
    "sub",
  ]);
});

Deno.test("locks: a hostile name can't reach a terminal raw; colours", async () => {
  using dir = new TempDir();
  await using _holder = await holdFlock(dir.join("\x1b[31m\nred"));
  const table = (env: Record<string, string>) =>
    runCli(["locks", dir.path], { env });
  const plain = (await table({ NO_COLOR: "1", CLICOLOR_FORCE: "1" })).stdout;
  assertStringIncludes(plain, "\\x1b[31m\\nred");
  assert(!plain.includes("\x1b"));
  assertEquals(plain.trimEnd().split("\n").length, 2);
  const coloured = (await table({ NO_COLOR: "", CLICOLOR_FORCE: "1" })).stdout;
  assert(coloured.startsWith("\x1b[1mCOMMAND"), JSON.stringify(coloured));
});

Deno.test("locks --deadlocks: exit code 3 with every process and file", async () => {
  using dir = new TempDir();
  const [a, b] = [dir.join("a"), dir.join("b")];
  const start = (own: string, other: string) =>
    runScript(
      `const [x, y] = args.map(open);
flock(x);
say("ready");
line();
flock(y);`,
      own,
      other,
    );
  await using first = await start(a, b);
  await using second = await start(b, a);
  const none = await runCli(["locks", "--deadlocks", dir.path]);
  assertEquals([none.code, none.stdout], [0, "no deadlock\n"]);
  await first.writeLine("");
  await second.writeLine("");
  await untilWaiting(dir.path, 2);

  // Asked for one file of the ring, all of it is reported.
  const { code, stdout } = await runCli(["locks", "--deadlocks", a]);
  assertEquals(code, 3);
  // Another thread of the two could still let a lock go.
  assertMatch(stdout, /^possible deadlock: 2 in a ring$/m);
  for (const part of [a, b, `pid ${first.pid}`, `pid ${second.pid}`]) {
    assertStringIncludes(stdout, part);
  }
  const json = await runCli(["locks", "--deadlocks", "--json", b]);
  assertEquals(json.code, 3);
  const [deadlock] = JSON.parse(json.stdout).deadlocks;
  assertEquals(deadlock.certain, false);
  assertEquals(
    deadlock.processes.map(({ pid }: { pid: number }) => pid).sort(),
    [first.pid, second.pid].sort(),
  );
  assertEquals(
    deadlock.files.map(({ path }: { path: string }) => path).sort(),
    [a, b],
  );

  const text = await lines("--graph", dir.path);
  assertEquals(text.filter((line) => line.includes("[deadlock]")).length, 2);
  const dot = (await lines("--graph=dot", dir.path)).join("\n");
  assertMatch(dot, /^digraph waits \{[^]*n0 -> n1 \[.*color=red[^]*\}$/);
  const mermaid = (await lines("--graph", "mermaid", dir.path)).join("\n");
  assertMatch(mermaid, /^flowchart LR\n[^]*n0 -->\|".*a"\| n1|n1 -->/);
  assertStringIncludes(
    (await lines("-o", "STATE", dir.path)).join(),
    "deadlocked",
  );
});

Deno.test("locks: bad input is a clear sentence", async () => {
  for (
    const [args, message] of [
      [["--watch=abc"], "invalid interval: 'abc'"],
      [["--watch", "1ms"], "interval too short: '1ms' (at least 20ms)"],
      [["--graph=svg"], "invalid argument 'svg' for '--graph'"],
      [["--graph", "--watch"], "options '--watch' and '--graph' are incompat"],
      [["--type", "flok"], "unknown type of lock: 'flok'"],
      [["--sort", "x"], "unknown column: x"],
      [["-p", "abc"], "invalid PID argument: 'abc'"],
      [[""], "a path must not be empty"],
    ] as const
  ) {
    const { code, stdout, stderr } = await runCli(["locks", ...args]);
    assertEquals([code, stdout], [64, ""]);
    assertStringIncludes(stderr, `holdfast locks: ${message}`);
  }
});

Deno.test("locks --watch --json: a line for each change, until SIGINT", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  await using holder = await holdFlock(path);
  await using watch = HelperProcess.spawn(
    Deno.execPath(),
    cliArgs(["locks", "--watch", "30ms", "--json", dir.path]),
  );
  const next = async () => JSON.parse((await watch.nextLine())!);
  const held = await next();
  assertEquals(
    [held.schema, held.event, held.lock.file.path],
    [1, "held", path],
  );
  await using waiter = HelperProcess.spawn(
    ...flockCommand(path, "sh", "-c", "read -r _"),
  );
  const waiting = await next();
  assertEquals(
    [waiting.event, waiting.waiter.process.pid],
    ["waiting", waiter.pid],
  );
  await holder.finish();
  const released = await next();
  assertEquals(
    [released.event, released.lock.takerPid, released.fromStart],
    ["released", holder.pid, true],
  );
  const acquired = await next();
  assertEquals(
    [acquired.event, acquired.lock.takerPid],
    ["acquired", waiter.pid],
  );
  assert(acquired.observedWaitMs > 0);
  watch.kill("SIGINT");
  assertEquals((await watch.status).code, 0);
});

const terminal = needs("script", "stty");

Deno.test({
  name: "locks --watch refreshes in place on a terminal and clears up" +
    terminal.suffix,
  ignore: terminal.ignore,
}, async () => {
  using dir = new TempDir();
  await using _holder = await holdFlock(dir.join("a.lock"));
  await using _waiter = waitForFlock(dir.join("a.lock"));
  await untilWaiting(dir.path);
  // script(1) gives it a terminal; Ctrl-C comes through that.
  const command = [
    Deno.execPath(),
    ...cliArgs([
      "locks",
      "--watch=50ms",
      "-o",
      "PID,TYPE,WAITED,PATH",
      dir.path,
    ]),
  ]
    .map((word) => `'${word}'`).join(" ");
  const child = new Deno.Command("script", {
    // With exec, no shell is left to be interrupted, whichever $SHELL is.
    args: ["-qec", `stty cols 40 rows 10; exec ${command}`, "/dev/null"],
    stdin: "piped",
    stdout: "piped",
    env: { TERM: "xterm" },
  }).spawn();
  let text = "";
  // Up to the first line of what is shown, and clear from there.
  // deno-lint-ignore no-control-regex
  const eraser = /\r\x1b\[(\d+)A\x1b\[J/;
  const writer = child.stdin.getWriter();
  let interrupted = false;
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (!interrupted && text.split(eraser).length > 6) {
      interrupted = true;
      await writer.write(new Uint8Array([3]));
    }
  }
  await writer.close().catch(() => {});
  assertEquals((await child.status).code, 0);
  const [last, height, frame] = text.split(eraser).reverse();
  assertEquals([last, frame!.split("\n").length - 1], ["", Number(height)]);
  // Cut to the terminal's width, at the path's start.
  const row = text.split(/\r?\n/).find((line) => line.includes("FLOCK"))!;
  assert(row.trimEnd().length <= 40, row);
  assertMatch(row, /….*a\.lock/);
  // What the watch has seen of the wait.
  assertMatch(text, /FLOCK +>\d+ ms/);
});

const nobody = needsNobody();

Deno.test({
  name: `locks: without root the gaps are counted${nobody.suffix}`,
  ignore: nobody.ignore,
  async fn() {
    using dir = new TempDir();
    Deno.chmodSync(dir.path, 0o777);
    await using holder = await holdFlock(dir.join("a.lock"));
    const output = asNobody(
      dir,
      Deno.execPath(),
      cliArgs(["locks", "--json", "-p", `${holder.pid}`]),
    );
    const errors = new TextDecoder().decode(output.stderr);
    assert(output.success, errors);
    const document = JSON.parse(new TextDecoder().decode(output.stdout));
    assert(document.unreadableProcesses > 0);
    assert(document.unnamedFiles > 0);
    const [lock] = document.locks;
    assertEquals(
      [lock.file.path, lock.file.pathStatus, lock.holders[0].sources],
      [null, "unknown", ["taker"]],
    );
  },
});

const pidNamespace = needsMounts("flock");

Deno.test({
  name: `locks: one that a pid namespace hides is found${pidNamespace.suffix}`,
  ignore: pidNamespace.ignore,
  async fn() {
    using dir = new TempDir();
    const path = dir.join("a.lock");
    const command = [Deno.execPath(), ...cliArgs(["locks", "--json", path])]
      .map((word) => `'${word}'`).join(" ");
    const output = await new Deno.Command("sh", {
      args: [
        "-euc",
        `exec 9>"$0"; flock 9
exec unshare --pid --fork --mount-proc sh -c "${command}; :"`,
        path,
      ],
    }).output();
    const { locks } = JSON.parse(new TextDecoder().decode(output.stdout));
    assertEquals(
      locks.map((lock: Record<string, unknown>) => [
        lock.listed,
        lock.takerPid,
        (lock.holders as { process: { pid: number } }[]).some((holder) =>
          holder.process.pid === 1
        ),
      ]),
      [[false, null, true]],
    );
  },
});
