/**
 * `acquire` and its relatives take locks of every kind: what is held has the
 * type of its kind, and an option of another kind is an error of the compiler
 * and at run time.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  acquire,
  acquireAll,
  type HandleOf,
  type HolderInfo,
  type LockKind,
  LockTimeoutError,
  readHolders,
  tryAcquire,
  type WaitInfo,
  withLock,
} from "../../mod.ts";
import type { BothLockHandle } from "../../lib/lock/both_lock.ts";
import type { FlockHandle } from "../../lib/lock/flock/flock.ts";
import type { LinkLockHandle } from "../../lib/lock/link/link_lock.ts";
import type { RecordLockHandle } from "../../lib/lock/record/record_lock_handle.ts";
import { openDescriptors } from "../support/open_descriptors.ts";
import { settled } from "../support/settled.ts";
import { TempDir } from "../support/temp_dir.ts";

const KINDS = ["flock", "ofd", "posix", "both", "link"] as const;

/** Which locks this process has on a file, as the kernel says. */
function kernelLocks(path: string): string[] {
  const own = settled(() => readHolders(path))
    .filter(({ pid }) => pid === Deno.pid);
  return [...new Set(own.map(({ type, mode }) => `${type} ${mode}`))].sort();
}

/** Each process once, however many locks it has. */
function pids(holders: readonly HolderInfo[]): (number | undefined)[] {
  return [...new Set(holders.map(({ pid }) => pid))];
}

const SEEN: Record<LockKind, string[]> = {
  flock: ["FLOCK WRITE"],
  ofd: ["OFDLCK WRITE"],
  posix: ["POSIX WRITE"],
  both: ["FLOCK WRITE", "OFDLCK WRITE"],
  link: [],
};

for (const kind of KINDS) {
  Deno.test(`kind ${kind}: taken by each function, and nothing of it is left`, async () => {
    using dir = new TempDir();
    const path = dir.join("a");
    // The first use opens what stays open.
    tryAcquire(path, { kind })!.release();
    const before = openDescriptors();
    const seen = (lock: HandleOf<LockKind>) => {
      assertEquals([lock.path, lock.held], [path, true]);
      return kernelLocks(path);
    };
    {
      using lock = tryAcquire(path, { kind })!;
      assertEquals(seen(lock), SEEN[kind]);
      assertEquals(tryAcquire(path, { kind }), undefined);
      const error = await assertRejects(
        () => acquire(path, { kind, timeoutMs: 0 }),
        LockTimeoutError,
      );
      assertEquals(pids(error.holders), [Deno.pid]);
    }
    {
      using lock = await acquire(path, { kind, timeoutMs: 5000 });
      assertEquals(seen(lock), SEEN[kind]);
    }
    assertEquals(
      await withLock(path, { kind, timeoutMs: 5000 }, seen),
      SEEN[kind],
    );
    {
      using group = await acquireAll([path, dir.join("b")], { kind });
      assertEquals(group.members.map(({ held }) => held), [true, true]);
      assertEquals(kernelLocks(path), SEEN[kind]);
      assertEquals(tryAcquire(dir.join("b"), { kind }), undefined);
    }
    tryAcquire(path, { kind })!.release();
    // What an earlier test has left may be closed by now.
    const isNew = (descriptor: string) => !before.includes(descriptor);
    assertEquals(openDescriptors().filter(isNew), []);
  });

  Deno.test(`kind ${kind}: who waits is told once who is in the way`, async () => {
    using dir = new TempDir();
    const path = dir.join("a");
    const held = tryAcquire(path, { kind })!;
    const told: (number | undefined)[][] = [];
    using lock = await acquire(path, {
      kind,
      onWait: async (info: WaitInfo) => {
        assertEquals(info.path, path);
        told.push(pids(await info.readHolders()));
        held.release();
      },
    });
    assert(lock.held);
    assertEquals(told, [[Deno.pid]]);
  });

  Deno.test(`kind ${kind}: an abort is the reason, unwrapped`, async () => {
    using dir = new TempDir();
    const path = dir.join("a");
    using _held = tryAcquire(path, { kind })!;
    const reason = new Error("enough");
    const controller = new AbortController();
    const { signal } = controller;
    const error = await assertRejects(() =>
      acquire(path, { kind, signal, onWait: () => controller.abort(reason) })
    );
    assertEquals(error, reason);
  });
}

Deno.test("the types of handles follow the kind", async () => {
  using dir = new TempDir();
  using flock: FlockHandle = tryAcquire(dir.join("a"))!;
  using named: FlockHandle = tryAcquire(dir.join("b"), { kind: "flock" })!;
  using ofd: RecordLockHandle = await acquire(dir.join("c"), {
    kind: "ofd",
    mode: "shared",
    range: { startByte: 3n, lengthBytes: 2n },
  });
  using both: BothLockHandle = await acquire(dir.join("d"), { kind: "both" });
  using link: LinkLockHandle = await acquire(dir.join("e"), {
    kind: "link",
    message: "mine",
    onWait: (info) => void info.readOwner(),
  });
  assertEquals([flock.mode, named.mode, both.mode], Array(3).fill("exclusive"));
  assertEquals([ofd.mode, ofd.startByte, ofd.endByte], ["shared", 3n, 4n]);
  assertEquals([link.owner.message, link.fence], ["mine", 1n]);
  // @ts-expect-error: only a flock can be converted.
  assertEquals(ofd.tryConvert, undefined);
  // @ts-expect-error: a flock is on the whole file.
  assertEquals(flock.startByte, undefined);
});

Deno.test("withLock and its like need no options", async () => {
  using dir = new TempDir();
  const path = dir.join("a");
  const fence = (lock: LinkLockHandle) => lock.fence;
  assertEquals(await withLock(path, ({ fd }) => fd > 2), true);
  assertEquals(
    await withLock(path, { mode: "shared" }, ({ mode }) => mode),
    "shared",
  );
  assertEquals(await withLock(dir.join("b"), { kind: "link" }, fence), 1n);
  // @ts-expect-error: there is nothing to run.
  const error = await assertRejects(() => withLock(path, {}), TypeError);
  assertEquals(error.message, "fn must be a function, got undefined");
});

/** Each call is refused, with a sentence that begins so. */
const REFUSED: [says: string, call: (path: string) => unknown][] = [
  [
    'range must not be set for kind "flock": it goes with kind "ofd" or kind "posix"',
    // @ts-expect-error: a flock is on the whole file.
    (path) => tryAcquire(path, { range: {} }),
  ],
  [
    'range must not be set for kind "both"',
    // @ts-expect-error: they are on the whole file.
    (path) => acquire(path, { kind: "both", range: {} }),
  ],
  [
    'leaseMs must not be set for kind "ofd": it goes with kind "link"',
    // @ts-expect-error: the kernel's locks have no lease.
    (path) => tryAcquire(path, { kind: "ofd", leaseMs: 1000 }),
  ],
  [
    'allowRemote must not be set for kind "link"',
    // @ts-expect-error: remote filesystems are what they are for.
    (path) => acquire(path, { kind: "link", allowRemote: true }),
  ],
  [
    'ttlMs must not be set for kind "flock": it goes with a lock in an engine',
    // @ts-expect-error: a flock has no lease.
    (path) => acquire(path, { ttlMs: 5000 }),
  ],
  [
    "kind must not be set for a lock in an engine",
    () => acquire("etcd://localhost/x", { kind: "flock" }),
  ],
  [
    'createParents must not be set for kind "link"',
    // @ts-expect-error: its directory is there.
    (path) => withLock(path, { kind: "link", createParents: true }, () => {}),
  ],
  [
    'mode must be "exclusive", as all link locks are, got "shared"',
    // @ts-expect-error: link locks aren't shared.
    (path) => acquire(path, { kind: "link", mode: "shared" }),
  ],
  [
    'kind must be "flock", "ofd", "posix", "both" or "link", got "fcntl"',
    // @ts-expect-error: there is no such kind.
    (path) => tryAcquire(path, { kind: "fcntl" }),
  ],
  [
    'range must not be set for kind "flock"',
    // @ts-expect-error: a range needs the kind that has one.
    (path) => acquireAll([{ path, range: {} }]),
  ],
  [
    'range must not be set for kind "both"',
    // @ts-expect-error: they are on the whole file.
    (path) => acquireAll([{ path, kind: "both", range: {} }]),
  ],
  [
    'message must not be set for kind "posix"',
    // @ts-expect-error: the kernel keeps no message.
    (path) => acquireAll([{ path, kind: "posix", message: "x" }]),
  ],
  [
    'strategy must be "ordered-wait" for link locks',
    (path) => acquireAll([path], { kind: "link", strategy: "try-all-backoff" }),
  ],
  [
    'strategy must be "ordered-wait" or "try-all-backoff", got "sorted"',
    // @ts-expect-error: there is no such strategy.
    (path) => acquireAll([path], { strategy: "sorted" }),
  ],
  [
    "kind must not be set for a lock in an engine that is one of a group",
    (path) =>
      acquireAll([path, { path: "etcd://h/x", kind: "ofd", range: {} }]),
  ],
  [
    "ttlMs must not be set for a lock in an engine that is one of a group",
    // @ts-expect-error: the group has no say in its members' leases.
    (path) => acquireAll([path, { path: "etcd://h/x", ttlMs: 5000 }]),
  ],
  [
    'mode must be "exclusive" or "shared", got "read"',
    // @ts-expect-error: there is no such mode.
    (path) => acquireAll([path, "etcd://h/x"], { mode: "read" }),
  ],
  [
    "A member must be an object, got null",
    // @ts-expect-error: that is no member.
    () => acquireAll(["etcd://h/x", null]),
  ],
];

for (const [says, call] of REFUSED) {
  Deno.test(`refused: ${says}`, async () => {
    using dir = new TempDir();
    const error = await assertRejects(
      async () => await call(dir.join("a")),
      TypeError,
    );
    assert(error.message.startsWith(says), error.message);
    assertEquals([...Deno.readDirSync(dir.path)], []);
  });
}

Deno.test("a timeout names a holder once, whatever it holds the file by", async () => {
  using dir = new TempDir();
  const path = dir.join("a");
  using held = tryAcquire(path, { kind: "both" });
  assert(held);
  const { message, holders } = await assertRejects(
    () => acquire(path, { kind: "both", timeoutMs: 0 }),
    LockTimeoutError,
  );
  assertEquals(holders.map(({ type }) => type).sort(), ["FLOCK", "OFDLCK"]);
  assertEquals(message.split(`pid=${Deno.pid} `).length, 2, message);
});

for (const kind of KINDS) {
  Deno.test(`kind ${kind}: null is no timeout`, async () => {
    using dir = new TempDir();
    await assertRejects(
      // @ts-expect-error: neither 0 nor for ever.
      () => acquire(dir.join("a"), { kind, timeoutMs: null }),
      TypeError,
      "timeoutMs must be a number, got null",
    );
    assertEquals([...Deno.readDirSync(dir.path)], []);
  });
}

Deno.test("an option of another kind that is undefined is none", () => {
  using dir = new TempDir();
  using lock = tryAcquire(
    dir.join("a"),
    { range: undefined, leaseMs: undefined } as Record<never, never>,
  );
  assert(lock?.held);
});

Deno.test("acquireAll takes link locks after files, once by whatever name, and in one order", async () => {
  using dir = new TempDir();
  const [file, a, b] = ["file", "a.link", "b.link"].map((name) =>
    dir.join(name)
  ) as [string, string, string];
  Deno.symlinkSync(dir.path, dir.join("alias"));
  const waits: string[] = [];
  {
    using group = await acquireAll([
      { path: b, kind: "link", message: "second" },
      file,
      { path: a, kind: "link" },
      { path: dir.join("alias/a.link"), kind: "link" },
    ]);
    assertEquals(group.members.map(({ path }) => path), [b, file, a, a]);
    assertEquals(group.setInheritable, undefined);
    assertEquals(tryAcquire(b, { kind: "link" }), undefined);
    assertEquals(tryAcquire(file), undefined);
    const controller = new AbortController();
    const enough = new Error("enough");
    const error = await assertRejects(() =>
      acquireAll([{ path: a, kind: "link" }, dir.join("other")], {
        signal: controller.signal,
        onWait({ path }) {
          waits.push(path);
          controller.abort(enough);
        },
      })
    );
    assertEquals(error, enough);
  }
  assertEquals(waits, [a]);
  // What was in vain has left nothing held.
  assert(tryAcquire(dir.join("other"))?.held);
});
