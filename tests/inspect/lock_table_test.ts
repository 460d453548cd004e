import { assertEquals, assertExists } from "@std/assert";
import {
  findDeadlocks,
  type LockTable,
  readLockParties,
  readLockTable,
  type TableLock,
  type TableWaiter,
  waitGraph,
} from "../../lib/inspect/mod.ts";
import { tryFlock } from "../../lib/lock/flock/mod.ts";
import { HelperProcess } from "../support/helper_process.ts";
import { flockCommand, holdFlock } from "../support/foreign_flock.ts";
import { openDescriptors } from "../support/open_descriptors.ts";
import { needsRootOfMounts, PrivateMounts } from "../support/private_mounts.ts";
import { needs } from "../support/programs.ts";
import { runScript } from "../support/run_script.ts";
import { needsWholeProcLocks } from "../support/host_facts.ts";
import { TempDir } from "../support/temp_dir.ts";
import { until } from "../support/until.ts";

/** Starts a shell that inherits what is open, and says its pid. */
const SPAWN_HEIR = `const heir = new Deno.Command("sh", {
  args: ["-c", "read -r _"],
  stdin: "inherit",
}).spawn();
say("ready");
say(String(heir.pid));`;

/** Takes a lock that an heir then shares. */
const INHERIT = `flock(open(args[0]));${SPAWN_HEIR}end();`;

function locksOf(path: string, table = readLockTable()): TableLock[] {
  return table.locks.filter(({ file }) => file.path === path);
}

function holderPids({ holders }: TableLock): (number | undefined)[] {
  return holders.map(({ process }) => process?.pid);
}

/** Reads until as many wait in a directory as a test needs. */
async function readWaiting(
  directory: string,
  count: number,
): Promise<LockTable> {
  let table = readLockTable();
  await until(() => {
    if (waitersIn(directory, table).length >= count) return true;
    table = readLockTable();
    return false;
  });
  return table;
}

function waitersIn(directory: string, table: LockTable): TableWaiter[] {
  return table.waiters.filter(({ file }) =>
    file.path?.startsWith(`${directory}/`)
  );
}

Deno.test("a lock has its file, its holder and how that is known", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  await using holder = await holdFlock(path);
  Deno.writeTextFileSync(path, "12345");
  const [lock, ...others] = locksOf(path);
  assertEquals(others, []);
  assertExists(lock);
  const { type, enforcement, mode, startByte, endByte, file } = lock;
  assertEquals(
    { type, enforcement, mode, startByte, endByte },
    {
      type: "FLOCK",
      enforcement: "ADVISORY",
      mode: "WRITE",
      startByte: 0n,
      endByte: undefined,
    },
  );
  assertEquals([file.pathStatus, file.sizeBytes], ["here", 5n]);
  assertExists(file.mountPoint);
  assertEquals([lock.takerPid, lock.listed], [holder.pid, true]);
  const [{ process, fds, sources }] = lock.holders as [TableLock["holders"][0]];
  assertEquals(sources, ["taker", "descriptor"]);
  assertEquals(fds.length, 1);
  assertEquals(
    [process?.pid, process?.name, process?.threads, process?.alive],
    [holder.pid, "sh", 1, true],
  );
});

Deno.test("of a dead taker the heirs are the holders", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  // The taker ends at once; the shell it has started keeps the descriptor.
  await using taker = await runScript(INHERIT, path);
  const heir = Number(await taker.nextLine());
  taker.kill("SIGKILL");
  await taker.status;
  const [lock] = locksOf(path);
  assertExists(lock);
  assertEquals(holderPids(lock), [heir]);
  assertEquals(lock.holders[0]?.fds.length, 1);
  assertEquals(lock.takerPid, taker.pid);
});

Deno.test("names: removed, really called (deleted), replaced", () => {
  using dir = new TempDir();
  const status = (path: string) =>
    locksOf(path).map(({ file }) => file.pathStatus);

  const gone = dir.join("gone");
  using _a = tryFlock(gone)!;
  Deno.removeSync(gone);
  assertEquals(status(gone), ["deleted"]);

  const odd = dir.join("odd (deleted)");
  using _b = tryFlock(odd)!;
  assertEquals(status(odd), ["here"]);

  const replaced = dir.join("replaced");
  using _c = tryFlock(replaced)!;
  Deno.removeSync(replaced);
  Deno.writeTextFileSync(replaced, "");
  assertEquals(status(replaced), ["deleted"]);

  // One name of two is gone: the file isn't, but its path is.
  const first = dir.join("first");
  using _d = tryFlock(first)!;
  Deno.linkSync(first, dir.join("second"));
  Deno.removeSync(first);
  assertEquals(status(first), ["deleted"]);
});

Deno.test("two shared OFD locks are two, one shared by two is one", async () => {
  using dir = new TempDir();
  const path = dir.join("a");
  const take = `ofd(open(args[0]), [0, 0], "read");`;
  await using parent = await runScript(`${take}${SPAWN_HEIR}end();`, path);
  const child = Number(await parent.nextLine());
  await using other = await runScript(`${take}say("ready"); end();`, path);
  assertEquals(
    locksOf(path).map(holderPids).map((pids) => pids.toSorted()).toSorted(),
    [[parent.pid, child].toSorted(), [other.pid]].toSorted(),
  );
});

Deno.test("an OFD waiter, which has no pid, is found by its call", async () => {
  using dir = new TempDir();
  const path = dir.join("a");
  await using holder = await runScript(
    `ofd(open(args[0]), [0, 5]); say("ready"); end();`,
    path,
  );
  const wait = (type: "read" | "write", start: number) =>
    runScript(
      `const fd = open(args[0]); say("ready"); ofd(fd, [${start}, 5], "${type}");`,
      path,
    );
  await using writer = await wait("write", 1);
  await using reader = await wait("read", 2);
  const table = await readWaiting(dir.path, 2);
  assertEquals(
    waitersIn(dir.path, table).map(({ mode, process, blockers }) => [
      mode,
      process?.pid,
      blockers.flatMap(holderPids),
    ]).toSorted(),
    [
      ["READ", reader.pid, [holder.pid]],
      ["WRITE", writer.pid, [holder.pid]],
    ],
  );
  assertEquals(
    readLockParties(path).waiters.map(({ pid }) => pid).toSorted(),
    [writer.pid, reader.pid].toSorted(),
  );
});

Deno.test("a lease breaker waits on the lease's file", async () => {
  using dir = new TempDir();
  const path = dir.join("a");
  await using holder = await runScript(
    `ignoreSignal(SIGIO); takeLease(open(args[0])); say("ready"); end();`,
    path,
  );
  await using opener = HelperProcess.spawn("sh", ["-c", `: <"$0"`, path]);
  const table = await readWaiting(dir.path, 1);
  const [waiter] = waitersIn(dir.path, table);
  assertEquals(
    [waiter?.type, waiter?.enforcement, waiter?.process?.pid],
    ["LEASE", "BREAKER", opener.pid],
  );
  assertEquals(waiter?.blockers.flatMap(holderPids), [holder.pid]);
});

/** Two processes that take one lock each, and then want the other's. */
async function makeRing(
  dir: TempDir,
  first: string,
  second: string,
): Promise<AsyncDisposableStack> {
  await using stack = new AsyncDisposableStack();
  const start = (own: string, other: string, ownCall: string, call: string) =>
    runScript(
      `const [a, b] = args.map(open);
const take = {
  flock: (fd) => flock(fd),
  posix: (fd) => posix(fd, [5, 10]),
  ofd: (fd) => ofd(fd, [0, 10]),
};
take.${ownCall}(a);
say("ready");
line();
take.${call}(b);`,
      dir.join(own),
      dir.join(other),
    );
  const a = stack.use(await start("a", "b", first, second));
  const b = stack.use(await start("b", "a", second, first));
  await a.writeLine("");
  await b.writeLine("");
  return stack.move();
}

for (
  const [first, second] of [["flock", "flock"], ["flock", "posix"], [
    "ofd",
    "flock",
  ], ["ofd", "ofd"]] as const
) {
  Deno.test(`a real deadlock of ${first} and ${second} is found`, async () => {
    using dir = new TempDir();
    await using _ring = await makeRing(dir, first, second);
    const table = await readWaiting(dir.path, 2);
    const deadlocks = findDeadlocks(waitGraph(table)).filter(({ files }) =>
      files.some(({ path }) => path?.startsWith(`${dir.path}/`))
    );
    assertEquals(deadlocks.length, 1);
    const [{ certain, ring, files }] = deadlocks as [typeof deadlocks[0]];
    // Another thread of the two could still let a lock go.
    assertEquals([certain, ring.length], [false, 2]);
    assertEquals(files.map(({ path }) => path).sort(), [
      dir.join("a"),
      dir.join("b"),
    ]);
  });
}

const whole = needsWholeProcLocks();
const flock1 = whole.ignore ? whole : needs("flock");

Deno.test({
  name: `a deadlock of processes with one thread is certain${flock1.suffix}`,
  ignore: flock1.ignore,
  async fn() {
    using dir = new TempDir();
    const start = (own: string, other: string) =>
      HelperProcess.start("sh", [
        "-c",
        'exec 9>"$0"; flock 9; echo ready; read -r _; exec flock "$1" true',
        dir.join(own),
        dir.join(other),
      ]);
    await using a = await start("a", "b");
    await using b = await start("b", "a");
    await a.writeLine("");
    await b.writeLine("");
    const deadlocks = findDeadlocks(waitGraph(await readWaiting(dir.path, 2)));
    assertEquals(
      deadlocks.filter(({ files }) =>
        files.some(({ path }) => path === dir.join("a"))
      ).map(({ certain }) => certain),
      [true],
    );
  },
});

const mountable = needsRootOfMounts();

Deno.test({
  name: "a path that is one only in the holder's mount namespace says so" +
    mountable.suffix,
  ignore: mountable.ignore,
  async fn() {
    using dir = new TempDir();
    Deno.mkdirSync(dir.join("m"));
    await using mounts = await PrivateMounts.create(
      dir.path,
      "mount -t tmpfs none m; touch m/a",
    );
    await using holder = await mounts.start(
      ...flockCommand(dir.join("m/a"), "sh", "-c", "echo ready; read -r _"),
    );
    const [lock] = locksOf(dir.join("m/a"));
    assertEquals(lock?.file.pathStatus, "other-namespace");
    assertEquals(lock && holderPids(lock), [holder.pid]);
  },
});

Deno.test("while locks come and go by the thousand, those that stay are seen", async () => {
  using dir = new TempDir();
  await using keeper = await runScript(
    `for (let i = 0; i < 40; i++) flock(open(args[0] + "/keep" + i));
say("ready");
end();`,
    dir.path,
  );
  // Enough of them for several pages of /proc/locks, which is read page by
  // page; and processes that end while they are looked at.
  await using _churn = await runScript(
    `const files = Array.from({ length: 300 }, (_, i) => open(args[0] + "/churn" + i));
say("ready");
Deno.stdin.read(new Uint8Array(1)).then(() => Deno.exit());
for (;;) {
  for (const fd of files) flock(fd);
  await new Deno.Command("true").output();
  for (const fd of files) flock(fd, "unlock");
}`,
    dir.path,
  );
  const expected = Array.from({ length: 40 }, (_, i) => dir.join(`keep${i}`));
  for (let i = 0; i < 60; i++) {
    const kept = readLockTable().locks.filter(({ file }) =>
      file.path?.startsWith(dir.join("keep"))
    );
    // A torn reading may show one twice.
    const paths = new Set(kept.map(({ file }) => file.path));
    assertEquals([...paths].sort(), expected.toSorted());
    for (const lock of kept) assertEquals(holderPids(lock), [keeper.pid]);
  }
});

Deno.test("reading the table leaves no descriptor and creates nothing", () => {
  using dir = new TempDir();
  readLockTable();
  const before = openDescriptors();
  readLockTable();
  assertEquals(openDescriptors(), before);
  assertEquals([...Deno.readDirSync(dir.path)], []);
});
