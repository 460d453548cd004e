import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { fOfdSetlk } from "../../lib/lock/record/record_lock.ts";
import { LockableFile } from "../../lib/lock/record/range_locks.ts";
import { tryRecordLock } from "../../lib/lock/record/record_lock_attempt.ts";
import { tryFlock } from "../../lib/lock/flock/flock.ts";
import { readHolders } from "../../lib/inspect/holder.ts";
import { UnsupportedFilesystemError } from "../../lib/fs/guard.ts";
import { blockRecordLock } from "../../lib/acquire/block_record.ts";
import {
  acquireBothLocks,
  acquireRecordLock,
  bothLockAttempt,
} from "../../lib/acquire/record.ts";
import { LockTimeoutError } from "../../lib/wait/lock_timeout_error.ts";
import {
  findCycle,
  RecordDeadlockError,
} from "../../lib/acquire/record_deadlock_error.ts";
import { parseProcLocks } from "../../lib/proc/proc_locks.ts";
import { openDescriptors } from "../support/open_descriptors.ts";
import { runScript } from "../support/run_script.ts";
import { settled } from "../support/settled.ts";
import { TempDir } from "../support/temp_dir.ts";

/** A process that holds a POSIX lock until its stdin ends. */
function lockfHolder(path: string, length: number, start: number) {
  return runScript(
    `posix(open(args[0]), [${start}, ${length}]); say("ready"); end();`,
    path,
  );
}

Deno.test("a timeout names those who hold the range, and nobody else", async () => {
  using directory = new TempDir();
  const path = directory.join("file");
  await using inTheWay = await lockfHolder(path, 10, 0);
  await using beside = await lockfHolder(path, 10, 10);
  using _flock = tryFlock(path)!;
  const before = openDescriptors();
  const range = { startByte: 5n, lengthBytes: 5n };
  let busy = 0;
  for (const kind of ["ofd", "posix"] as const) {
    const error = await assertRejects(
      () =>
        acquireRecordLock(path, {
          kind,
          range,
          timeoutMs: 30,
          onWait: () => busy++,
        }),
      LockTimeoutError,
      `pid=${inTheWay.pid}`,
    );
    assertEquals(error.holders.map(({ pid }) => pid), [inTheWay.pid]);
    assert(!error.message.includes(`pid=${beside.pid}`));
  }
  assertEquals(busy, 2);
  assertEquals(openDescriptors(), before);
});

Deno.test("a wait gets the range when its holder goes, and can be aborted", async () => {
  using directory = new TempDir();
  const path = directory.join("file");
  await using holder = await lockfHolder(path, 1, 0);
  const controller = new AbortController();
  const aborted = acquireRecordLock(path, { signal: controller.signal });
  controller.abort(new Error("enough"));
  await assertRejects(() => aborted, Error, "enough");
  const wait = acquireRecordLock(path, { timeoutMs: 10_000 });
  await holder.finish();
  using lock = await wait;
  assert(lock.held);
});

Deno.test("blockRecordLock sleeps until its time is up", async () => {
  using directory = new TempDir();
  const path = directory.join("file");
  await using _holder = await lockfHolder(path, 1, 0);
  assertEquals(blockRecordLock(path, { timeoutMs: 20 }), undefined);
  using lock = blockRecordLock(path, { range: { startByte: 1n } });
  assert(lock !== undefined);
});

Deno.test("EDEADLK becomes an error that names the ring", async () => {
  using directory = new TempDir();
  const [mine, theirs] = [directory.join("mine"), directory.join("theirs")];
  using _lock = tryRecordLock(mine, { kind: "posix" })!;
  await using other = await runScript(
    `const [a, b] = args.map(open);
posix(b, [10, 5]);
say("ready");
posix(a, [7, 1]);`,
    mine,
    theirs,
  );
  const waiting = `POSIX  ADVISORY  WRITE ${other.pid} `;
  while (
    !Deno.readTextFileSync("/proc/locks").split("\n")
      .some((line) => line.includes("->") && line.includes(waiting))
  );
  const error = assertThrows(
    () => blockRecordLock(theirs, { kind: "posix", timeoutMs: 10_000 }),
    RecordDeadlockError,
    "EDEADLK",
  );
  assertEquals(
    error.cycle.map(({ pid, file, startByte, endByte }) => ({
      pid,
      file,
      startByte,
      endByte,
    })),
    [
      {
        pid: Deno.pid,
        file: `"${theirs}"`,
        startByte: 0n,
        endByte: undefined,
      },
      { pid: other.pid, file: `"${mine}"`, startByte: 7n, endByte: 7n },
    ],
  );
  assertStringIncludes(error.message, `held by pid=${other.pid} cmd=`);
  assertStringIncludes(error.message, `waits for bytes 7-7 of "${mine}"`);
});

Deno.test("a ring of three is found, and a mere queue isn't one", () => {
  const lines = parseProcLocks(
    `1: POSIX  ADVISORY  WRITE 20 08:01:5 0 EOF
2: POSIX  ADVISORY  WRITE 30 08:01:6 0 9
2: -> POSIX  ADVISORY  WRITE 20 08:01:6 5 5
3: POSIX  ADVISORY  READ 10 08:01:7 0 EOF
3: -> POSIX  ADVISORY  WRITE 30 08:01:7 0 EOF
`,
  );
  const wish = {
    pid: 10,
    key: "08:01:5",
    mode: "exclusive",
    startByte: 0n,
    endByte: undefined,
  } as const;
  assertEquals(findCycle(wish, lines).map(({ pid }) => pid), [10, 20, 30]);
  assertEquals(findCycle({ ...wish, pid: 11 }, lines), []);
});

Deno.test("both takes flock and an OFD lock by one descriptor, or neither", async () => {
  using directory = new TempDir();
  const path = directory.join("file");
  const types = () =>
    settled(() => readHolders(path)).map(({ type }) => type).sort();
  {
    using both = await acquireBothLocks(path);
    assertEquals(types(), ["FLOCK", "OFDLCK"]);
    assertEquals(tryFlock(path), undefined);
    assertEquals(tryRecordLock(path), undefined);
    both.release();
    both.release();
    assertEquals(types(), []);
  }
  const before = openDescriptors();
  {
    using file = new LockableFile(path);
    assert(fOfdSetlk(file.fd, { type: "write" }));
    await assertRejects(
      () => acquireBothLocks(path, { timeoutMs: 0 }),
      LockTimeoutError,
      `pid=${Deno.pid}`,
    );
    assertEquals(types(), ["OFDLCK"]);
  }
  {
    using _flock = tryFlock(path)!;
    await assertRejects(
      () => acquireBothLocks(path, { timeoutMs: 20 }),
      LockTimeoutError,
    );
    assertEquals(types(), ["FLOCK"]);
  }
  assertEquals(openDescriptors(), before);
});

Deno.test("while both sleeps for the record lock, it doesn't hold the flock", async () => {
  using directory = new TempDir();
  const path = directory.join("file");
  await using holder = await runScript(
    `const f = open(args[0]), g = open(args[0]);
posix(f, [0, 0]);
say("ready");
line();
untilWaitedFor(f);
say(tryFlock(g) ? "flock was free" : "flock was held");
flock(g, "unlock");
posix(f, [0, 0], "unlock");
end();`,
    path,
  );
  await holder.writeLine("go");
  using attempt = bothLockAttempt(path, {});
  assert(attempt.sleep({ timeoutMs: 10_000 }));
  using both = attempt.try();
  assertEquals(await holder.nextLine(), "flock was free");
  assert(both?.held);
  assertEquals(
    settled(() => readHolders(path)).map(({ type }) => type).sort(),
    ["FLOCK", "OFDLCK"],
  );
  using second = bothLockAttempt(path, {});
  assertEquals(second.try(), undefined);
});

Deno.test("shared holders of both share both", async () => {
  using directory = new TempDir();
  const path = directory.join("file");
  using _a = await acquireBothLocks(path, { mode: "shared" });
  using _b = await acquireBothLocks(path, { mode: "shared", timeoutMs: 0 });
  assertEquals(tryFlock(path), undefined);
  assertEquals(tryRecordLock(path), undefined);
});

Deno.test("the refusal of both on NFS says why and what to take instead", () => {
  const { message } = new UnsupportedFilesystemError("/n/x", "nfs", "R", {
    lock: "flock and fcntl together",
    advice: "A",
  });
  assertEquals(
    message,
    'Cannot rely on flock and fcntl together for "/n/x": ' +
      "it is on nfs, where R; A",
  );
});
