import { assert, assertEquals } from "@std/assert";
import {
  formatHolderList,
  formatNeedle,
  type HolderInfo,
  needleFromFd,
  needleFromPath,
  NO_HOLDERS_RECORDED,
  readHolders,
  readHoldersForNeedle,
  readLockParties,
  readLockPartiesForNeedles,
  tryFlock,
} from "../../mod.ts";
import { HelperProcess, holdWithFlock1 } from "../support/helper_process.ts";
import { openDescriptors } from "../support/open_descriptors.ts";
import { TempDir } from "../support/temp_dir.ts";

/** A python that takes a record lock and waits, without and with OFD. */
function holdRange(path: string, kind: "posix" | "ofd") {
  const lock = kind === "posix"
    ? "fcntl.lockf(f, fcntl.LOCK_EX, 10, 5)"
    // F_OFD_SETLK is 37; struct flock: short type, whence, long start, len
    : "fcntl.fcntl(f, 37, struct.pack('hhqqi4x', 1, 0, 5, 10, 0))";
  return HelperProcess.start("python3", [
    "-c",
    `import fcntl, struct, sys
f = open(sys.argv[1], "a+")
${lock}
print("ready", flush=True)
sys.stdin.read()`,
    path,
  ]);
}

Deno.test("the needle of a path is what /proc/locks prints", () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  assertEquals(needleFromPath(path), undefined);
  using lock = tryFlock(path);
  const needle = formatNeedle(needleFromPath(path)!);
  assertEquals(formatNeedle(needleFromFd(lock!.fd)), needle);
  assert(
    Deno.readTextFileSync("/proc/locks").includes(` ${Deno.pid} ${needle} `),
  );
});

Deno.test("readHolders names the taker with all that is known of it", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  const startedAfter = Date.now();
  await using holder = await holdWithFlock1(path, "shared");
  const holders = readHolders(path);
  const startTimeMs = holders[0]?.startTimeMs ?? 0;
  assert(Math.abs(startTimeMs - startedAfter) < 3000, `${startTimeMs}`);
  const expected: HolderInfo = {
    pid: holder.pid,
    command: "sh -c echo ready; read -r _",
    user: "root",
    startTimeMs,
    type: "FLOCK",
    mode: "READ",
    startByte: 0n,
    endByte: undefined,
    sources: ["taker", "descriptor"],
  };
  if (Deno.uid() !== 0) expected.user = holders[0]?.user;
  assertEquals(holders, [expected]);
});

Deno.test("a child that inherited the lock is named, its dead taker is not", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  // The flock process ends at once; the shell keeps descriptor 9.
  await using shell = await HelperProcess.start("bash", [
    "-c",
    `exec 9>"$0"; flock 9; echo ready; read -r _`,
    path,
  ]);
  assertEquals(
    readHolders(path).map(({ pid, sources }) => ({ pid, sources })),
    [{ pid: shell.pid, sources: ["descriptor"] }],
  );
});

Deno.test("everyone who shares the lock is named", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  await using taker = await HelperProcess.start("bash", [
    "-c",
    `exec 9>"$0"; flock 9; sleep 1000 & child=$!; echo ready; echo "$child"; read -r _; kill "$child"`,
    path,
  ]);
  const child = Number(await taker.nextLine());
  assertEquals(
    readHolders(path).map(({ pid }) => pid),
    [taker.pid, child].sort((a, b) => a - b),
  );
  await taker.writeLine("");
  await taker.status;
});

Deno.test("record locks: POSIX by taker, OFD by descriptor, with range", async () => {
  using dir = new TempDir();
  for (const kind of ["posix", "ofd"] as const) {
    const path = dir.join(kind);
    await using holder = await holdRange(path, kind);
    assertEquals(
      readHolders(path).map((
        { pid, type, mode, startByte, endByte, sources },
      ) => [pid, type, mode, startByte, endByte, sources]),
      [[
        holder.pid,
        kind === "posix" ? "POSIX" : "OFDLCK",
        "WRITE",
        5n,
        14n,
        kind === "posix" ? ["taker", "descriptor"] : ["descriptor"],
      ]],
    );
  }
});

Deno.test("waiters are told from holders", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  await using holder = await holdWithFlock1(path);
  await using waiter = HelperProcess.spawn("flock", [path, "true"]);
  let parties = readLockParties(path);
  while (parties.waiters.length === 0) parties = readLockParties(path);
  assertEquals(parties.holders.map(({ pid }) => pid), [holder.pid]);
  assertEquals(parties.waiters.map(({ pid }) => pid), [waiter.pid]);
});

Deno.test("many needles are answered in order by one read", async () => {
  using dir = new TempDir();
  await using a = await holdWithFlock1(dir.join("a"));
  Deno.writeTextFileSync(dir.join("b"), "");
  await using c = await holdWithFlock1(dir.join("c"));
  const needles = ["c", "b", "a"].map((n) => needleFromPath(dir.join(n))!);
  assertEquals(
    readLockPartiesForNeedles(needles).map(({ holders }) =>
      holders.map(({ pid }) => pid)
    ),
    [[c.pid], [], [a.pid]],
  );
  assertEquals(readHoldersForNeedle(needles[0]!)[0]?.pid, c.pid);
});

Deno.test("a hostile command line can't reach a terminal raw", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  await using _holder = await HelperProcess.start("flock", [
    "-F",
    path,
    "sh",
    "-c",
    "echo ready; read -r _",
    "\x1b[31m\r\n" + "x".repeat(300),
  ]);
  const text = formatHolderList(readHolders(path));
  assert(text.includes("\\x1b[31m\\r\\n"));
  assert(text.endsWith("…"));
  assertEquals(text.split("\n").length, 1);
});

Deno.test("no holder, no file, no descriptor left", () => {
  using dir = new TempDir();
  readHolders(dir.join("none"));
  const before = openDescriptors();
  assertEquals(readHolders(dir.join("none")), []);
  assertEquals([...Deno.readDirSync(dir.path)], []);
  assertEquals(openDescriptors(), before);
  assertEquals(formatHolderList([]), `  ${NO_HOLDERS_RECORDED}`);
});
