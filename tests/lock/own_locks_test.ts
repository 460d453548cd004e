/** A thread that sleeps can't release what it holds itself. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  acquire,
  acquireAll,
  SelfDeadlockError,
  tryAcquire,
} from "../../mod.ts";
import { acquireRecordLock } from "../../lib/acquire/record_lock.ts";
import { blockRecordLock } from "../../lib/acquire/block_record.ts";
import { tryFlockFd } from "../../lib/lock/flock/flock_fd.ts";
import { fOfdSetlk } from "../../lib/lock/record/record_lock.ts";
import { parseProcLocks } from "../../lib/proc/proc_locks.ts";
import { closeFile, O_CREAT, O_RDWR, openFile } from "../../lib/sys/file.ts";
import { settle } from "../support/manual_clock.ts";
import { blockFlock } from "../../lib/lock/flock/flock.ts";
import { tryRecordLock } from "../../lib/lock/record/record_lock_attempt.ts";
import { openDescriptors } from "../support/open_descriptors.ts";
import { TempDir } from "../support/temp_dir.ts";

/** How many sleep for a lock on a file, as the kernel lists them. */
function waiters(path: string): number {
  const { ino } = Deno.statSync(path);
  return parseProcLocks(Deno.readTextFileSync("/proc/locks"))
    .filter(({ blocked, inode }) => blocked && inode === BigInt(ino!)).length;
}

function assertOwn(error: SelfDeadlockError, path: string): void {
  assertEquals(
    [error.path, error.holderPid, error.relation],
    [path, Deno.pid, "self"],
  );
}

Deno.test("blockFlock on a lock of this very process is refused at once", () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  const link = dir.join("b.lock");
  {
    using _held = tryAcquire(path);
    Deno.linkSync(path, link);
    const before = openDescriptors();
    assertOwn(assertThrows(() => blockFlock(path), SelfDeadlockError), path);
    const shared = () => blockFlock(link, { mode: "shared" });
    assertOwn(assertThrows(shared, SelfDeadlockError), link);
    assertEquals(openDescriptors(), before);
  }
  using again = blockFlock(path);
  assert(again?.held);
});

Deno.test("blockFlock shares a lock with its own process, and with a deadline it waits", () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  using held = tryAcquire(path, { mode: "shared" })!;
  using shared = blockFlock(path, { mode: "shared" });
  assert(shared?.held);
  const blocked = (options: Parameters<typeof blockFlock>[1]) =>
    blockFlock(path, options);
  assertEquals(blocked({ timeoutMs: 0 }), undefined);
  assertEquals(blocked({ timeoutMs: 10 }), undefined);
  shared.release();
  // Who says so knows what will release it: here it is the tick.
  using exclusive = blocked({
    allowNested: true,
    tickMs: 1,
    onTick: () => held.release(),
  });
  assertEquals(exclusive?.mode, "exclusive");
});

Deno.test("blockRecordLock on bytes of this very process is refused at once, on others granted", () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  for (const held of ["ofd", "posix"] as const) {
    using _held = tryRecordLock(path, {
      kind: held,
      range: { startByte: 10n, lengthBytes: 10n },
    })!;
    for (const kind of ["ofd", "posix"] as const) {
      const block = (startByte: bigint) =>
        blockRecordLock(path, { kind, range: { startByte, lengthBytes: 1n } });
      assertOwn(assertThrows(() => block(19n), SelfDeadlockError), path);
      using free = block(20n);
      assert(free?.held, `${kind} beside ${held}`);
    }
  }
  using free = blockRecordLock(path);
  assert(free?.held);
});

Deno.test("an acquire that waits for the same lock keeps this thread from sleeping for it", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  // Locks that nobody here keeps a list of, as another process's.
  const fd = openFile(path, O_RDWR | O_CREAT);
  assert(tryFlockFd(fd));
  assert(fOfdSetlk(fd, { type: "write" }));
  const controller = new AbortController();
  const { signal } = controller;
  const waits = [acquire(path, { signal }), acquireRecordLock(path, { signal })]
    .map((wait) => wait.catch(() => {}));
  while (waiters(path) < waits.length) await settle();
  for (
    const block of [() => blockFlock(path), () => blockRecordLock(path)]
  ) {
    const error = assertThrows(block, SelfDeadlockError);
    assert(error.message.includes("waits for it too"), error.message);
  }
  controller.abort();
  await Promise.all(waits);
  closeFile(fd);
  blockFlock(path)!.release();
  blockRecordLock(path)!.release();
});

Deno.test("a group holds both kinds of lock, and neither can be slept for", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  const group = await acquireAll([{ path, kind: "both" }]);
  assertThrows(() => blockFlock(path), SelfDeadlockError);
  assertThrows(() => blockRecordLock(path), SelfDeadlockError);
  group.release();
  blockFlock(path)!.release();
  blockRecordLock(path)!.release();
});
