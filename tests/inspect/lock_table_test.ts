import { assert, assertEquals, assertExists } from "@std/assert";
import {
  findDeadlocks,
  type LockTable,
  readLockParties,
  readLockTable,
  type TableLock,
  type TableWaiter,
  tryFlock,
  waitGraph,
} from "../../mod.ts";
import { HelperProcess, holdWithFlock1 } from "../support/helper_process.ts";
import { openDescriptors } from "../support/open_descriptors.ts";
import { canMount, PrivateMounts } from "../support/private_mounts.ts";
import { runPython } from "../support/python.ts";
import { TempDir } from "../support/temp_dir.ts";

function locksOf(path: string, table = readLockTable()): TableLock[] {
  return table.locks.filter(({ file }) => file.path === path);
}

function holderPids({ holders }: TableLock): (number | undefined)[] {
  return holders.map(({ process }) => process?.pid);
}

/** Reads until as many wait in a directory as a test needs. */
function readWaiting(directory: string, count: number): LockTable {
  for (;;) {
    const table = readLockTable();
    if (waitersIn(directory, table).length >= count) return table;
  }
}

function waitersIn(directory: string, table: LockTable): TableWaiter[] {
  return table.waiters.filter(({ file }) =>
    file.path?.startsWith(`${directory}/`)
  );
}

Deno.test("a lock has its file, its holder and how that is known", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  await using holder = await holdWithFlock1(path);
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
  await using shell = await HelperProcess.start("bash", [
    "-c",
    `exec 9>"$0"; flock 9; echo ready; read -r _`,
    path,
  ]);
  const [lock] = locksOf(path);
  assertExists(lock);
  assertEquals(holderPids(lock), [shell.pid]);
  assertEquals(lock.holders[0]?.fds, [9]);
  assert(lock.takerPid !== shell.pid);
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
  const take = `f = open(sys.argv[1], "a+")
fcntl.fcntl(f, 37, struct.pack("hhqqi4x", 0, 0, 0, 0, 0))`;
  await using parent = await runPython(
    `${take}
child = os.fork()
if child == 0:
    sys.stdin.read()
    os._exit(0)
print("ready", flush=True)
print(child, flush=True)
sys.stdin.read()`,
    path,
  );
  const child = Number(await parent.nextLine());
  await using other = await runPython(
    `${take}
print("ready", flush=True)
sys.stdin.read()`,
    path,
  );
  assertEquals(
    locksOf(path).map(holderPids).map((pids) => pids.toSorted()).toSorted(),
    [[parent.pid, child].toSorted(), [other.pid]].toSorted(),
  );
  Deno.kill(child, "SIGKILL");
});

Deno.test("an OFD waiter, which has no pid, is found by its call", async () => {
  using dir = new TempDir();
  const path = dir.join("a");
  const lock = (command: number, type: number, start: number) =>
    `fcntl.fcntl(f, ${command}, struct.pack("hhqqi4x", ${type}, 0, ${start}, 5, 0))`;
  await using holder = await runPython(
    `f = open(sys.argv[1], "a+")
${lock(37, 1, 0)}
print("ready", flush=True)
sys.stdin.read()`,
    path,
  );
  const wait = (type: number, start: number) =>
    runPython(
      `f = open(sys.argv[1], "a+")
print("ready", flush=True)
${lock(38, type, start)}`,
      path,
    );
  await using writer = await wait(1, 1);
  await using reader = await wait(0, 2);
  const table = readWaiting(dir.path, 2);
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
  await using holder = await runPython(
    `import signal
signal.signal(signal.SIGIO, lambda *_: None)
f = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.fcntl(f, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print("ready", flush=True)
sys.stdin.read()`,
    path,
  );
  await using opener = HelperProcess.spawn("sh", ["-c", `: <"$0"`, path]);
  const table = readWaiting(dir.path, 1);
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
    runPython(
      `a, b = (os.open(p, os.O_RDWR | os.O_CREAT) for p in sys.argv[1:3])
def flock(f): fcntl.flock(f, fcntl.LOCK_EX)
def posix(f): fcntl.lockf(f, fcntl.LOCK_EX, 10, 5)
def ofd(f): fcntl.fcntl(f, 38, struct.pack("hhqqi4x", 1, 0, 0, 10, 0))
${ownCall}(a)
print("ready", flush=True)
sys.stdin.readline()
${call}(b)`,
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
    const table = readWaiting(dir.path, 2);
    const deadlocks = findDeadlocks(waitGraph(table)).filter(({ files }) =>
      files.some(({ path }) => path?.startsWith(`${dir.path}/`))
    );
    assertEquals(deadlocks.length, 1);
    const [{ certain, ring, files }] = deadlocks as [typeof deadlocks[0]];
    assertEquals([certain, ring.length], [true, 2]);
    assertEquals(files.map(({ path }) => path).sort(), [
      dir.join("a"),
      dir.join("b"),
    ]);
  });
}

Deno.test({
  name: "a path that is one only in the holder's mount namespace says so",
  ignore: !canMount,
  async fn() {
    using dir = new TempDir();
    Deno.mkdirSync(dir.join("m"));
    await using mounts = await PrivateMounts.create(
      dir.path,
      "mount -t tmpfs none m; touch m/a",
    );
    await using holder = await mounts.start("flock", [
      "-F",
      dir.join("m/a"),
      "sh",
      "-c",
      "echo ready; read -r _",
    ]);
    const [lock] = locksOf(dir.join("m/a"));
    assertEquals(lock?.file.pathStatus, "other-namespace");
    assertEquals(lock && holderPids(lock), [holder.pid]);
  },
});

Deno.test("while locks come and go by the thousand, those that stay are seen", async () => {
  using dir = new TempDir();
  await using keeper = await runPython(
    `files = [os.open(f"{sys.argv[1]}/keep{i}", os.O_RDWR | os.O_CREAT) for i in range(40)]
for f in files: fcntl.flock(f, fcntl.LOCK_EX)
print("ready", flush=True)
sys.stdin.read()`,
    dir.path,
  );
  // Enough of them for several pages of /proc/locks, which is read page by
  // page; and processes that end while they are looked at.
  await using _churn = await runPython(
    `import threading
files = [os.open(f"{sys.argv[1]}/churn{i}", os.O_RDWR | os.O_CREAT) for i in range(300)]
print("ready", flush=True)
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
while True:
    for f in files: fcntl.flock(f, fcntl.LOCK_EX)
    if os.fork() == 0: os._exit(0)
    os.wait()
    for f in files: fcntl.flock(f, fcntl.LOCK_UN)`,
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
