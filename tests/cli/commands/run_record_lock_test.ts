import {
  assert,
  assertEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  parseLoadLimit,
  takeLockUnderLoad,
} from "../../../cli/commands/run/load_gate.ts";
import { parseOptions, UsageError } from "../../../cli/args/parse.ts";
import { readRequest } from "../../../cli/commands/run/read_request.ts";
import type { RunRequest } from "../../../cli/commands/run/request.ts";
import { RUN_SPEC } from "../../../cli/commands/run/spec.ts";
import { tryRecordLock } from "../../../lib/lock/record/record_lock_attempt.ts";
import { tryFlock } from "../../../lib/lock/flock/flock.ts";
import type { HeldLock } from "../../../lib/lock/held_lock.ts";
import { getLoadAverages } from "../../../lib/sys/loadavg.ts";
import { runCli } from "../../support/cli.ts";
import { fakeClock } from "../../support/fake_clock.ts";
import { assertRead } from "../../support/settled.ts";
import { TempDir } from "../../support/temp_dir.ts";

/**
 * A command that prints the locks on a file, each as type and range, when it
 * has read the same twice: see `settled`. A shell reads byte by byte, which
 * /proc/locks stands even less.
 */
function listLocks(path: string): string[] {
  const script = 'i=$(stat -c %i "$1"); ' +
    "list() { cat /proc/locks | while read -r _ type _ mode _ file start end; do " +
    'case $file in *:$i) echo "$type $mode $start-$end";; esac; ' +
    "done; }; " +
    'last=$(list); while now=$(list); [ "$now" != "$last" ]; ' +
    'do last=$now; done; echo "$last"';
  return ["sh", "-c", script, "sh", path];
}

Deno.test("run holds the kind and the range that it is asked for", async () => {
  using directory = new TempDir();
  const path = directory.join("lock");
  for (
    const [args, expected] of [
      [["-k", "posix"], ["POSIX WRITE 0-EOF"]],
      [["-k", "ofd"], ["OFDLCK WRITE 0-EOF"]],
      [["-k", "ofd", "-s", "--range", "5:10"], ["OFDLCK READ 5-14"]],
      [["-k", "posix", "--range", "15:-10"], ["POSIX WRITE 5-14"]],
      [["-k", "ofd", "--exec"], ["OFDLCK WRITE 0-EOF"]],
      [["-k", "both"], ["FLOCK WRITE 0-EOF", "OFDLCK WRITE 0-EOF"]],
    ] as const
  ) {
    const run = async () => {
      const command = ["run", ...args, path, "--", ...listLocks(path)];
      const { code, stdout } = await runCli(command);
      return [code, ...stdout.trim().split("\n").sort()];
    };
    await assertRead(run, [0, ...expected]);
  }
});

Deno.test("run gives up a range that is taken, and names only who is in the way", async () => {
  using directory = new TempDir();
  const path = directory.join("lock");
  using _range = tryRecordLock(path, {
    range: { startByte: 0n, lengthBytes: 10n },
  })!;
  using _flock = tryFlock(path)!;
  const busy = ["run", "-w", "0.2", "-k", "posix", "--range", "9:1", path];
  const { code, stderr } = await runCli([...busy, "--", "echo", "no"]);
  assertEquals(code, 75);
  assertEquals(stderr.match(/pid=\d+/g), [`pid=${Deno.pid}`]);
  const beside = ["run", "-n", "-k", "ofd", "--range", "10:0", path];
  assertEquals((await runCli([...beside, "--", "true"])).code, 0);
});

Deno.test("run refuses ranges and --exec where they can't be", async () => {
  using directory = new TempDir();
  const path = directory.join("lock");
  for (
    const [args, message] of [
      [["--range", "0:1"], "--range goes with --kind posix or ofd"],
      [["-k", "both", "--range", "0:1"], "--range goes with"],
      [["-k", "ofd", "--range", "x"], "invalid range: 'x'"],
      [["-k", "posix", "--exec"], "--exec can't go with --kind posix"],
      [
        ["-k", "posix", "--on-supervisor-death", "keep"],
        "--on-supervisor-death keep can't go with --kind posix",
      ],
      [["--max-load", "low"], "invalid load: 'low'"],
    ] as const
  ) {
    const { code, stderr } = await runCli(["run", ...args, path, "--", "true"]);
    assertEquals(code, 64);
    assertStringIncludes(stderr, message);
  }
  assertThrows(() => Deno.statSync(path), Deno.errors.NotFound);
});

Deno.test("that a posix lock ends before its command, when run is killed, is said by help, doctor and docs", async () => {
  using directory = new TempDir();
  const path = directory.join("lock");
  const flat = (text: string) => text.replace(/\s+/g, " ");
  const help = flat((await runCli(["run", "--help"])).stdout);
  assertStringIncludes(help, "posix, link and URL locks can't be kept");
  assertStringIncludes(
    help,
    "it is killed, and the next holder may start a moment before it is gone",
  );
  const doctor = flat((await runCli(["doctor", "-k", "posix", path])).stdout);
  assertStringIncludes(
    doctor,
    "if holdfast run is killed, it kills the command, but the next holder " +
      "may start a moment before that is gone",
  );
  const page = flat(
    Deno.readTextFileSync(
      new URL("../../../docs/which-kind-of-lock.md", import.meta.url),
    ),
  );
  assertStringIncludes(
    page,
    "the kernel releases the lock before it kills the command, and the next " +
      "holder may start a moment before that is gone",
  );
});

Deno.test("a load limit is a number, and minutes that there is an average over", () => {
  assertEquals(parseLoadLimit("2"), { maxLoad: 2, minutes: 1 });
  assertEquals(parseLoadLimit(".5,15m"), { maxLoad: 0.5, minutes: 15 });
  for (const text of ["", "-1", "2,3m", "2,5", "2 ,5m", "1e3", "Infinity"]) {
    assertThrows(() => parseLoadLimit(text), UsageError, "invalid load");
  }
});

/** A request to run `true` in so many milliseconds. */
function requestWithin(timeoutMs: number): Promise<RunRequest> {
  const args = ["-q", `-w${timeoutMs}ms`, "lock", "--", "true"];
  return readRequest(parseOptions(RUN_SPEC, args));
}

const LIMIT = { maxLoad: 3, minutes: 1 } as const;

class FakeLock implements HeldLock {
  readonly path = "lock";
  held = true;
  release(): void {
    this.held = false;
  }
  [Symbol.dispose](): void {
    this.release();
  }
}

Deno.test("the lock comes first, isn't kept while the load is high, and is retaken", async () => {
  const events: string[] = [];
  const locks: FakeLock[] = [];
  const loads = [9, 8, 3, 9, 2, 1];
  const taken = await takeLockUnderLoad(await requestWithin(60_000), LIMIT, {
    takeLock() {
      const lock = new FakeLock();
      locks.push(lock);
      events.push("take");
      return Promise.resolve({ lock, env: {} });
    },
    readLoad() {
      const load = loads.shift()!;
      events.push(`${load} ${locks.at(-1)!.held ? "held" : "free"}`);
      return [load, 0, 0];
    },
    intervalMs: 1,
  });
  assertEquals(events, [
    "take",
    "9 held",
    "8 free",
    "3 free",
    "take",
    "9 held",
    "2 free",
    "take",
    "1 held",
  ]);
  assertEquals(locks.map(({ held }) => held), [false, false, true]);
  assert(taken?.lock === locks[2]);
});

Deno.test("the timeout covers the wait for the lock and the wait for the load", async () => {
  const left: number[] = [];
  const lock = new FakeLock();
  const clock = fakeClock();
  const taken = await takeLockUnderLoad(await requestWithin(120), LIMIT, {
    async takeLock({ timeoutMs }) {
      left.push(timeoutMs);
      await clock.sleep(60);
      return { lock, env: {} };
    },
    readLoad: () => [9, 9, 9],
    intervalMs: 50,
    clock,
  });
  assertEquals(taken, undefined);
  assert(!lock.held);
  assertEquals(left, [120]);
  assertEquals(clock.sleeps, [60, 50, 10]);
});

Deno.test("run starts under a limit that is kept, and not over one that isn't", async () => {
  using directory = new TempDir();
  const path = directory.join("lock");
  const run = (limit: string) =>
    runCli(["run", "-n", "--max-load", limit, path, "--", "echo", "ran"]);
  assertEquals((await run("100000,15m")).stdout, "ran\n");
  // Just after boot the load may really be zero.
  if (getLoadAverages()[2] === 0) return;
  const over = await run("0,15m");
  assertEquals([over.code, over.stdout], [75, ""]);
  assertStringIncludes(over.stderr, "15-minute load is ");
});
