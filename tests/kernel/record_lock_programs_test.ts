/** Record locks beside programs that aren't ours. */

import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { formatHolder, readHolders } from "../../lib/inspect/holder.ts";
import { LockableFile, testLock } from "../../lib/lock/record/range_locks.ts";
import { tryRecordLock } from "../../lib/lock/record/record_lock_attempt.ts";
import { tryFlock } from "../../lib/lock/flock/flock.ts";
import { acquireRecordLock } from "../../lib/acquire/record.ts";
import { LockTimeoutError } from "../../lib/wait/lock_timeout_error.ts";
import { cliArgs, runCli } from "../support/cli.ts";
import { HelperProcess } from "../support/helper_process.ts";
import { needsMounts, PrivateMounts } from "../support/private_mounts.ts";
import { flockCommand } from "../support/foreign_flock.ts";
import { needs } from "../support/programs.ts";
import { TempDir } from "../support/temp_dir.ts";
import { until } from "../support/until.ts";

/* The bytes that SQLite locks, from its file format: they need not exist. */
const PENDING = 0x40000000n;
const RESERVED = { startByte: PENDING + 1n, lengthBytes: 1n };
const SHARED = { startByte: PENDING + 2n, lengthBytes: 510n };

const sqlite = needs("sqlite3");

Deno.test({
  name: `SQLite and holdfast exclude each other, byte by byte${sqlite.suffix}`,
  ignore: sqlite.ignore,
  async fn() {
    using directory = new TempDir();
    const path = directory.join("app.db");
    await using shell = HelperProcess.spawn("sqlite3", ["-batch", path]);
    await shell.writeLine("CREATE TABLE t(x); BEGIN IMMEDIATE; SELECT 'in';");
    assertEquals(await shell.nextLine(), "in");

    // A writer that still lets others read: SHARED read-locked, and RESERVED.
    assertEquals(tryRecordLock(path, { range: RESERVED }), undefined);
    using reader = tryRecordLock(path, { range: SHARED, mode: "shared" });
    assert(reader !== undefined);
    reader.release();
    const timeout = await assertRejects(
      () => acquireRecordLock(path, { range: RESERVED, timeoutMs: 20 }),
      LockTimeoutError,
    );
    assertEquals(timeout.holders.map(({ pid }) => pid), [shell.pid]);

    await shell.writeLine("COMMIT; BEGIN EXCLUSIVE; SELECT 'alone';");
    assertEquals(await shell.nextLine(), "alone");
    for (
      const range of [
        { startByte: PENDING, lengthBytes: 1n },
        RESERVED,
        SHARED,
      ]
    ) {
      for (const kind of ["ofd", "posix"] as const) {
        for (const mode of ["exclusive", "shared"] as const) {
          assertEquals(tryRecordLock(path, { range, kind, mode }), undefined);
        }
      }
    }
    assert(
      readHolders(path).every(({ pid, type }) =>
        pid === shell.pid && type === "POSIX"
      ),
    );
    const who = await runCli(["who", path]);
    assertEquals(who.code, 1);
    assertStringIncludes(who.stdout, `pid=${shell.pid} cmd=`);
    assertStringIncludes(who.stdout, "sqlite3 -batch");
    const test = await runCli([
      "test",
      "--json",
      "-k",
      "posix",
      "--range",
      "0x40000000:512",
      path,
    ]);
    assertEquals(test.code, 1);
    const answer = JSON.parse(test.stdout);
    assertEquals(answer.blocking.pid, shell.pid);
    assertEquals(answer.startByte, String(PENDING));
    assertEquals(answer.endByte, String(PENDING + 511n));

    // And the other way round.
    await shell.writeLine("COMMIT; SELECT 'done';");
    assertEquals(await shell.nextLine(), "done");
    using _ours = tryRecordLock(path, { range: SHARED })!;
    const other = await new Deno.Command("sqlite3", {
      args: [path, "SELECT count(*) FROM t;"],
      stderr: "piped",
    }).output();
    assert(!other.success);
    assert(new TextDecoder().decode(other.stderr).includes("locked"));
  },
});

const python3 = needs("python3");

Deno.test({
  name: "Python's lockf and holdfast exclude each other; who names an OFD " +
    `holder${python3.suffix}`,
  ignore: python3.ignore,
  async fn() {
    using directory = new TempDir();
    const path = directory.join("file");
    await using python = await HelperProcess.start("python3", [
      "-c",
      `
import fcntl, struct, sys
f = open(sys.argv[1], "a+")
fcntl.lockf(f, fcntl.LOCK_SH, 10, 0)
# struct flock, F_OFD_SETLK: a write lock on bytes 20 to 29
fcntl.fcntl(f, 37, struct.pack("hhxxxxqqixxxx", 1, 0, 20, 10, 0))
print("ready", flush=True)
for line in sys.stdin:
    try:
        fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, int(line))
        print("got it", flush=True)
    except OSError:
        print("busy", flush=True)
`,
      path,
    ]);
    using file = new LockableFile(path);
    assertEquals(testLock(file, "read"), {
      type: "write",
      startByte: 20n,
      lengthBytes: 10n,
      pid: -1,
    });
    assertEquals(
      readHolders(path).map((
        { pid, type, startByte },
      ) => [pid, type, startByte])
        .sort(),
      [[python.pid, "OFDLCK", 20n], [python.pid, "POSIX", 0n]],
    );
    assert(
      (await runCli(["locks", "--json"])).stdout.includes(`${python.pid}`),
    );
    const error = await assertRejects(
      () =>
        acquireRecordLock(path, { range: { startByte: 25n }, timeoutMs: 0 }),
      LockTimeoutError,
    );
    assertEquals(error.holders.length, 1);
    assert(error.message.includes(formatHolder(error.holders[0]!)));

    using ours = tryRecordLock(path, {
      range: { startByte: 100n, lengthBytes: 1n },
      kind: "posix",
    })!;
    await python.writeLine("95");
    assertEquals(await python.nextLine(), "busy");
    ours.release();
    await python.writeLine("95");
    assertEquals(await python.nextLine(), "got it");
  },
});

const daemons = needsMounts("cron", "atd");

Deno.test({
  name: "cron locks its pid file by flock, atd by fcntl: both excludes either" +
    daemons.suffix,
  ignore: daemons.ignore,
  async fn() {
    using directory = new TempDir();
    await using mounts = await PrivateMounts.create(
      directory.path,
      "mount -t tmpfs none /run",
    );
    for (
      const { daemon, pidFile, type, free, held } of [
        {
          daemon: "cron",
          pidFile: "/run/crond.pid",
          type: "FLOCK",
          free: ["posix", "ofd"],
          held: ["flock", "both"],
        },
        {
          daemon: "atd",
          pidFile: "/run/atd.pid",
          type: "POSIX",
          free: ["flock"],
          held: ["posix", "ofd", "both"],
        },
      ]
    ) {
      // nsenter becomes the daemon: it keeps the pid.
      await using process = HelperProcess.spawn(
        "nsenter",
        mounts.enter(daemon, "-f"),
      );
      const path = `/proc/${process.pid}/root${pidFile}`;
      await until(() => readHolders(path).length > 0);
      assertEquals(
        readHolders(path).map((holder) => [holder.pid, holder.type]),
        [[process.pid, type]],
      );
      for (const [kinds, code] of [[free, 0], [held, 1]] as const) {
        for (const kind of kinds) {
          const output = await mounts.output(
            Deno.execPath(),
            cliArgs(["test", "-k", kind, pidFile]),
          );
          assertEquals(output.code, code, `${daemon} ${kind}`);
        }
      }
      const run = await mounts.output(
        Deno.execPath(),
        cliArgs(["run", "-n", "-k", "both", pidFile, "--", "true"]),
      );
      assertEquals(run.code, 75);
      assert(
        new TextDecoder().decode(run.stderr).includes(`pid=${process.pid} `),
      );
    }
  },
});

Deno.test("flock and record locks don't know of each other on a local filesystem", () => {
  using directory = new TempDir();
  const path = directory.join("file");
  using flock = tryFlock(path);
  using ofd = tryRecordLock(path);
  using posix = tryRecordLock(path, { kind: "posix" });
  assert(flock !== undefined && ofd !== undefined);
  assertEquals(posix, undefined);
});

const bindfs = needsMounts("bindfs");

Deno.test({
  name: "on FUSE run refuses every kind, and test asks for an OFD lock, " +
    `saying why${bindfs.suffix}`,
  ignore: bindfs.ignore,
  async fn() {
    using directory = new TempDir();
    await using mounts = await PrivateMounts.create(
      directory.path,
      "mkdir s m; bindfs s m; touch m/lock",
    );
    const path = directory.join("m/lock");
    const cli = async (...args: string[]) => {
      const output = await mounts.output(Deno.execPath(), cliArgs(args));
      const decoder = new TextDecoder();
      return {
        code: output.code,
        stdout: decoder.decode(output.stdout),
        stderr: decoder.decode(output.stderr),
      };
    };
    for (const kind of ["posix", "ofd", "both"]) {
      const run = ["run", "-n", "-k", kind];
      const refused = await cli(...run, path, "--", "echo", "no");
      assertEquals([refused.code, refused.stdout], [69, ""]);
      assertStringIncludes(refused.stderr, "fuse");
      const allowed = ["--allow-remote", path, "--", "echo", "yes"];
      assertEquals((await cli(...run, ...allowed)).stdout, "yes\n");
    }
    // Whoever uses what lies beneath the mount isn't seen through it.
    const unasked = await cli("test", path);
    assertEquals(unasked.code, 2);
    assertStringIncludes(
      unasked.stdout,
      "can't be known from here for an exclusive OFD lock",
    );
    const who = await cli("who", "--json", path);
    assertEquals(who.code, 2);
    assertEquals(JSON.parse(who.stdout).files[0].held, null);
    await using _holder = await mounts.start(
      ...flockCommand(path, "sh", "-c", "echo ready; read -r _"),
    );
    assertEquals((await cli("who", path)).code, 1);
  },
});
