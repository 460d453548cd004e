import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertThrows,
} from "@std/assert";
import {
  acquireLinkLock,
  forceLinkLock,
  ForeignLinkLockError,
  LinkLockTimeoutError,
  LockCompromisedError,
  LockError,
  readLinkLockMessage,
  readLinkLockOwner,
  releaseLinkLock,
  sweepLinkLock,
  tryLinkLock,
  withLinkLock,
} from "../../../lib/acquire/link_lock.ts";
import {
  formatLinkOwner,
  type LinkLockOwner,
  parseLinkOwner,
} from "../../../lib/lock/link/owner.ts";
import {
  linkCandidate,
  newOwner,
  type RemovalIncident,
  removeByClaim,
  writeCandidate,
} from "../../../lib/lock/link/protocol.ts";
import { LinkNames } from "../../../lib/lock/link/names.ts";
import { WorkingDirectory } from "../../support/working_directory.ts";
import { hasMachineId } from "../../support/host_facts.ts";
import { TempDir } from "../../support/temp_dir.ts";
import { until } from "../../support/until.ts";

function names(dir: TempDir): string[] {
  return [...Deno.readDirSync(dir.path)].map(({ name }) => name).sort();
}

/** A process that has ended. */
function deadOwner(): LinkLockOwner {
  const child = new Deno.Command("sh", { args: ["-c", "echo $$"] })
    .outputSync();
  return {
    ...newOwner({ fence: 1, message: null, leaseMs: null }),
    pid: Number(new TextDecoder().decode(child.stdout)),
  };
}

Deno.test("a link lock excludes others until it is released", () => {
  using dir = new TempDir();
  const path = dir.join("a");
  const lock = tryLinkLock(path, { message: "nightly" });
  assert(lock?.held);
  assertEquals(tryLinkLock(path), undefined);
  assertEquals(readLinkLockOwner(path)?.pid, Deno.pid);
  assertEquals(readLinkLockMessage(path), "nightly");
  lock.release();
  lock.release();
  assertEquals(lock.held, false);
  assertEquals(readLinkLockOwner(path), undefined);
  assertEquals(names(dir), [".a.last"]);
});

Deno.test("the counter grows with each taking", () => {
  using dir = new TempDir();
  for (let fence = 1n; fence <= 3n; fence++) {
    using lock = tryLinkLock(dir.join("a"));
    assertEquals(lock?.fence, fence);
  }
});

Deno.test("the timeout names the owner", async () => {
  using dir = new TempDir();
  using _held = tryLinkLock(dir.join("a"), { message: "red \x1b[31m" });
  const error = await assertRejects(
    () => acquireLinkLock(dir.join("a"), { timeoutMs: 30 }),
    LinkLockTimeoutError,
  );
  assertEquals(error.owner?.pid, Deno.pid);
  assertMatch(error.message, new RegExp(`pid ${Deno.pid} on .*user `));
  assertMatch(error.message, /\(red \\x1b\[31m\)$/);
});

Deno.test("an abort ends the wait with its reason", async () => {
  using dir = new TempDir();
  using _held = tryLinkLock(dir.join("a"));
  const controller = new AbortController();
  const reason = new Error("enough");
  const wait = acquireLinkLock(dir.join("a"), {
    signal: controller.signal,
    onWait: () => controller.abort(reason),
  });
  assertEquals(await wait.catch((error) => error), reason);
});

Deno.test("withLinkLock releases when the function throws", async () => {
  using dir = new TempDir();
  await assertRejects(
    () =>
      withLinkLock(dir.join("a"), (lock) => {
        assert(lock.held);
        throw new Error("inside");
      }),
    Error,
    "inside",
  );
  assertEquals(readLinkLockOwner(dir.join("a")), undefined);
});

Deno.test("a crash after each step leaves nothing that must be waited for", () => {
  for (let crashAfter = 0; crashAfter < 6; crashAfter++) {
    using dir = new TempDir();
    const path = dir.join("a");
    const own = new LinkNames(path);
    const dead = deadOwner();
    const breaker = deadOwner();
    const steps = [
      () => writeCandidate(own, dead),
      () => assert(linkCandidate(own.candidate(dead.token), path)),
      () => writeCandidate(own, breaker),
      () =>
        assert(
          linkCandidate(
            own.candidate(breaker.token),
            own.claim(dead.token, 0),
          ),
        ),
      () => Deno.removeSync(own.candidate(breaker.token)),
      () => Deno.renameSync(path, own.removed(dead.token)),
    ];
    for (const step of steps.slice(0, crashAfter + 1)) step();
    {
      using lock = tryLinkLock(path);
      assert(lock !== undefined, `after step ${crashAfter}`);
      lock.check();
    }
    assert(sweepLinkLock(path).every(({ removed }) => removed));
    assertEquals(names(dir), [".a.last"]);
  }
});

Deno.test("a living breaker's claim is respected", () => {
  using dir = new TempDir();
  const path = dir.join("a");
  const own = new LinkNames(path);
  const dead = deadOwner();
  writeCandidate(own, dead);
  Deno.renameSync(own.candidate(dead.token), path);
  const breaker = newOwner({ fence: 1, message: null, leaseMs: null });
  writeCandidate(own, breaker);
  Deno.renameSync(own.candidate(breaker.token), own.claim(dead.token, 0));
  assertEquals(tryLinkLock(path), undefined);
  assertEquals(readLinkLockOwner(path)?.token, dead.token);
  assert(sweepLinkLock(path).every(({ removed }) => !removed));
});

Deno.test("a lock that a stranger has put in the way gets its name back", () => {
  using dir = new TempDir();
  const path = dir.join("a");
  const own = new LinkNames(path);
  const dead = deadOwner();
  Deno.writeTextFileSync(path, formatLinkOwner(dead));
  const fresh = newOwner({ fence: 2, message: null, leaseMs: null });
  const incidents: RemovalIncident[] = [];
  const outcome = removeByClaim(
    own,
    dead.token,
    newOwner({ fence: 1, message: null, leaseMs: null }),
    () => {
      Deno.writeTextFileSync(dir.join("b"), formatLinkOwner(fresh));
      Deno.renameSync(dir.join("b"), path);
      return true;
    },
    (incident) => incidents.push(incident),
  );
  assertEquals(outcome, "changed");
  assertEquals(incidents, [{ path, found: fresh, restored: true }]);
  assertEquals(readLinkLockOwner(path), fresh);
  assertEquals(names(dir), ["a"]);
});

Deno.test("only a proof of death breaks a lock", () => {
  const me = newOwner({ fence: 1, message: null, leaseMs: null });
  const dead = { ...me, pid: deadOwner().pid };
  const otherBoot = { ...me, bootId: crypto.randomUUID() };
  const cases: [string, LinkLockOwner, boolean][] = [
    ["itself", me, false],
    ["dead here", dead, true],
    ["init, another user's or not", { ...me, pid: 1, startTicks: null }, false],
    ["pid reused", { ...me, startTicks: "1" }, true],
    ["pid reused, but another time namespace", {
      ...me,
      startTicks: "1",
      timeNamespace: "1",
    }, false],
    ["before a reboot", otherBoot, hasMachineId],
    ["a clone's other boot", { ...otherBoot, hostname: "clone" }, false],
    ["another machine", { ...dead, machineId: "0".repeat(32) }, false],
    ["another pid namespace", { ...dead, pidNamespace: "1" }, false],
    ["unknown boot", { ...dead, bootId: null }, false],
  ];
  for (const [name, owner, breakable] of cases) {
    using dir = new TempDir();
    const path = dir.join("a");
    Deno.writeTextFileSync(path, formatLinkOwner(owner));
    using lock = tryLinkLock(path);
    assertEquals(lock !== undefined, breakable, name);
  }
});

Deno.test("what is no link lock gets an error and is left alone", () => {
  const cases: Record<string, [(path: string) => void, RegExp]> = {
    empty: [(path) => Deno.writeTextFileSync(path, ""), /it is empty/],
    binary: [
      (path) => Deno.writeFileSync(path, new Uint8Array([0, 255, 27, 91])),
      /doesn't contain an owner's record/,
    ],
    "100 MB": [(path) => {
      using file = Deno.openSync(path, { create: true, write: true });
      file.truncateSync(100 * 1024 * 1024);
    }, /too long/],
    symlink: [
      (path) => Deno.symlinkSync("/etc/hostname", path),
      /symbolic link/,
    ],
    directory: [(path) => Deno.mkdirSync(path), /it is a directory/],
    fifo: [
      (path) => new Deno.Command("mkfifo", { args: [path] }).outputSync(),
      /it is a FIFO/,
    ],
    "negative pid": [
      (path) =>
        Deno.writeTextFileSync(
          path,
          formatLinkOwner({ ...deadOwner(), pid: -1 }),
        ),
      /no valid pid/,
    ],
    "future schema": [
      (path) =>
        Deno.writeTextFileSync(
          path,
          formatLinkOwner(deadOwner()).replace('"schema":1', '"schema":2'),
        ),
      /schema 2/,
    ],
  };
  for (const [name, [make, says]] of Object.entries(cases)) {
    using dir = new TempDir();
    const path = dir.join("a");
    make(path);
    const before = Deno.lstatSync(path);
    for (const use of [tryLinkLock, readLinkLockOwner, releaseLinkLock]) {
      const error = assertThrows(() => use(path), ForeignLinkLockError);
      assertMatch(error.message, says, name);
    }
    const after = Deno.lstatSync(path);
    assertEquals([after.ino, after.size], [before.ino, before.size], name);
    assertEquals(names(dir), ["a"], name);
  }
});

Deno.test("releaseLinkLock takes only what can be verified", () => {
  using dir = new TempDir();
  const path = dir.join("a");
  assertEquals(releaseLinkLock(path), false);
  using _lock = tryLinkLock(path);
  assertEquals(releaseLinkLock(path), true);
  const stranger = { ...deadOwner(), machineId: "0".repeat(32) };
  Deno.writeTextFileSync(path, formatLinkOwner(stranger));
  assertThrows(() => releaseLinkLock(path), LockError, "another host");
  assertEquals(forceLinkLock(path, "f".repeat(32)), false);
  assertEquals(forceLinkLock(path, stranger.token), true);
});

Deno.test("an owner that has lost its lock leaves the next one's alone", () => {
  using dir = new TempDir();
  const path = dir.join("a");
  const first = tryLinkLock(path)!;
  forceLinkLock(path, first.owner.token);
  using second = tryLinkLock(path)!;
  assertThrows(() => first.check(), LockCompromisedError);
  first.release();
  second.check();
  assert(second.fence > first.fence);
});

Deno.test("a lease of a year isn't lost at once", async () => {
  using directory = new TempDir();
  using lock = tryLinkLock(directory.join("l"), { leaseMs: 3.2e10 })!;
  // Long after a timer of 1 ms, which is what too long a one would become.
  for (let round = 0; round < 5; round++) {
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  assertEquals([lock.held, lock.lost.aborted], [true, false]);
});

Deno.test("a lease is kept by heartbeats, and lost without its file", async () => {
  using dir = new TempDir();
  const path = dir.join("a");
  using lock = tryLinkLock(path, { leaseMs: 1500 })!;
  assertEquals(tryLinkLock(path, { breakExpired: true }), undefined);
  const before = Deno.statSync(path).mtime!.getTime();
  await until(() => Deno.statSync(path).mtime!.getTime() !== before);
  assert(lock.held);
  const lost = new Promise((resolve) =>
    lock.lost.addEventListener("abort", resolve)
  );
  Deno.renameSync(path, dir.join("gone"));
  // The lock's own timers keep no process alive.
  const alive = setTimeout(() => {}, 60_000);
  await lost;
  clearTimeout(alive);
  assert(lock.lost.reason instanceof LockCompromisedError);
  assertEquals(lock.held, false);
});

Deno.test("a lease that has run out is taken over only on request", async () => {
  using dir = new TempDir();
  const path = dir.join("a");
  const far = {
    ...newOwner({ fence: 7, message: null, leaseMs: 100 }),
    machineId: "0".repeat(32),
  };
  const own = new LinkNames(path);
  writeCandidate(own, far);
  Deno.renameSync(own.candidate(far.token), path);
  await assertRejects(
    () => acquireLinkLock(path, { timeoutMs: 400 }),
    LinkLockTimeoutError,
  );
  using lock = await acquireLinkLock(path, {
    timeoutMs: 60_000,
    breakExpired: true,
  });
  assert(lock.held);
});

Deno.test("the counter outlives a rename that was cut in two", () => {
  using dir = new TempDir();
  const path = dir.join("a");
  const counters = new LinkNames(path).counters;
  let last = 0;
  for (let round = 0; round < 6; round++) {
    // What a killed NFS client leaves: the counter that gives way is gone.
    for (const counter of counters) {
      const fence = readLinkLockOwner(counter)?.fence;
      if (fence !== undefined && fence < last) Deno.removeSync(counter);
    }
    using lock = tryLinkLock(path)!;
    assertEquals(lock.fence, BigInt(++last));
  }
});

Deno.test("a restored directory doesn't take the counter back", () => {
  using dir = new TempDir();
  const path = dir.join("a");
  const take = () => {
    using lock = tryLinkLock(path)!;
    return lock.fence;
  };
  take();
  const counters = new LinkNames(path).counters;
  const copy = Deno.readTextFileSync(counters[0]);
  for (let i = 0; i < 3; i++) take();
  for (const counter of counters) Deno.removeSync(counter);
  Deno.writeTextFileSync(counters[0], copy);
  // This process remembers, and so does a record that is found in the way.
  assertEquals(take(), 5n);
  Deno.removeSync(counters[0]);
  Deno.removeSync(counters[1]);
  Deno.writeTextFileSync(path, formatLinkOwner({ ...deadOwner(), fence: 70 }));
  assertEquals(take(), 71n);
});

Deno.test("a fence at 2^53-1 neither wedges nor loses the lock", () => {
  using dir = new TempDir();
  const path = dir.join("a");
  const atEnd = { ...deadOwner(), fence: Number.MAX_SAFE_INTEGER };
  Deno.writeTextFileSync(path, formatLinkOwner(atEnd));
  let last = BigInt(Number.MAX_SAFE_INTEGER);
  for (let round = 0; round < 4; round++) {
    using lock = tryLinkLock(path)!;
    lock.check();
    assert(lock.fence > last, `${lock.fence} after ${last}`);
    assertEquals(readLinkLockOwner(path)?.fence, Number(lock.fence));
    last = lock.fence;
  }
  assert(last <= 2n ** 53n + 6n, `${last}`);
});

Deno.test("a counter at its very end is an error, and nothing is made", () => {
  using dir = new TempDir();
  const path = dir.join("a");
  const [counter] = new LinkNames(path).counters;
  const text = formatLinkOwner({ ...deadOwner(), fence: 2 ** 62 });
  Deno.writeTextFileSync(counter, text);
  assertThrows(() => tryLinkLock(path), LockError, "its fencing counter");
  assertEquals(names(dir), [".a.last"]);
});

Deno.test("a link lock stays that of the directory it was taken in", async () => {
  using dir = new TempDir();
  const [here, there] = ["here", "there"].map((name) => dir.join(name));
  Deno.mkdirSync(here!);
  Deno.mkdirSync(there!);
  using _back = new WorkingDirectory(here!);
  const lock = tryLinkLock("rel", { leaseMs: 60_000 })!;
  const busy = acquireLinkLock("rel", { timeoutMs: 30 });
  const waiting = acquireLinkLock("rel");
  Deno.chdir(there!);
  const error = await assertRejects(() => busy, LinkLockTimeoutError);
  assertEquals([error.path, error.owner?.token], ["rel", lock.owner.token]);
  assert(lock.held);
  lock.check();
  lock.release();
  const next = await waiting;
  assertEquals(next.path, "rel");
  assertEquals(readLinkLockOwner(`${here}/rel`)?.token, next.owner.token);
  next.release();
  assertEquals([...Deno.readDirSync(there!)], []);
});

Deno.test("arguments of the wrong type are TypeErrors that name them", () => {
  using dir = new TempDir();
  const cases: [unknown[], string][] = [
    [[5], "path must be"],
    [[dir.join("a"), "shared"], "options must be"],
    [[dir.join("a"), { leaseMs: "60s" }], "leaseMs must be a number"],
    [[dir.join("a"), { message: 5 }], "message must be a string"],
    [[dir.join("a"), { onIncident: true }], "onIncident must be a function"],
  ];
  const take = tryLinkLock as (...args: unknown[]) => unknown;
  for (const [args, message] of cases) {
    assertThrows(() => take(...args), TypeError, message);
  }
  assertEquals(names(dir), []);
  using lock = tryLinkLock(new URL(`file://${dir.join("a")}`))!;
  assertEquals(lock.path, dir.join("a"));
});

Deno.test("records survive being written and read", () => {
  const owner = newOwner({ fence: 3, message: "ü \n", leaseMs: 1000 });
  assertEquals(parseLinkOwner(formatLinkOwner(owner)), owner);
});
