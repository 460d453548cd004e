import { assert, assertEquals } from "@std/assert";
import {
  formatHolderList,
  type HolderInfo,
  needleFromPath,
  NO_HOLDERS_RECORDED,
  readHolders,
  readHoldersForNeedle,
} from "../../mod.ts";
import {
  formatNeedle,
  needleFromFd,
  readLockParties,
  readLockPartiesForNeedles,
} from "../../lib/inspect/mod.ts";
import { tryFlock } from "../../lib/lock/flock/mod.ts";
import { HelperProcess } from "../support/helper_process.ts";
import {
  flockCommand,
  holdFlock,
  waitForFlock,
} from "../support/foreign_flock.ts";
import { runScript } from "../support/run_script.ts";
import { openDescriptors } from "../support/open_descriptors.ts";
import { settled } from "../support/settled.ts";
import { TempDir } from "../support/temp_dir.ts";

/** A process that holds a record lock until its stdin ends. */
function holdRange(path: string, kind: "posix" | "ofd") {
  return runScript(
    `${kind}(open(args[0]), [5, 10]); say("ready"); end();`,
    path,
  );
}

Deno.test("the needle of a path is what /proc/locks prints", () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  assertEquals(needleFromPath(path), undefined);
  using lock = tryFlock(path);
  const needle = formatNeedle(needleFromPath(path)!);
  assertEquals(formatNeedle(needleFromFd(lock!.fd)), needle);
  assert(
    settled(() =>
      Deno.readTextFileSync("/proc/locks").includes(` ${Deno.pid} ${needle} `)
    ),
  );
});

Deno.test("readHolders names the taker with all that is known of it", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  const startedAfter = Date.now();
  await using holder = await holdFlock(path, "shared");
  const holders = readHolders(path);
  const startTimeMs = holders[0]?.startTimeMs ?? 0;
  // The kernel tells it to a hundredth of a second.
  assert(startTimeMs > startedAfter - 1000, `${startTimeMs}`);
  assert(startTimeMs < Date.now() + 1000, `${startTimeMs}`);
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

Deno.test("everyone who shares the lock is named, a dead taker is not", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  // The taker ends at once; the shell it has started keeps the descriptor.
  await using taker = await runScript(
    `flock(open(args[0]));
const heir = new Deno.Command("sh", { args: ["-c", "read -r _"], stdin: "inherit" })
  .spawn();
say("ready");
say(String(heir.pid));
end();`,
    path,
  );
  const heir = Number(await taker.nextLine());
  assertEquals(
    readHolders(path).map(({ pid }) => pid),
    [taker.pid, heir].sort((a, b) => a - b),
  );
  taker.kill("SIGKILL");
  await taker.status;
  assertEquals(
    readHolders(path).map(({ pid, sources }) => ({ pid, sources })),
    [{ pid: heir, sources: ["descriptor"] }],
  );
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
  await using holder = await holdFlock(path);
  await using waiter = waitForFlock(path);
  let parties = readLockParties(path);
  while (parties.waiters.length === 0) parties = readLockParties(path);
  assertEquals(parties.holders.map(({ pid }) => pid), [holder.pid]);
  assertEquals(parties.waiters.map(({ pid }) => pid), [waiter.pid]);
});

Deno.test("many needles are answered in order by one read", async () => {
  using dir = new TempDir();
  await using a = await holdFlock(dir.join("a"));
  Deno.writeTextFileSync(dir.join("b"), "");
  await using c = await holdFlock(dir.join("c"));
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
  await using _holder = await HelperProcess.start(...flockCommand(
    path,
    "sh",
    "-c",
    "echo ready; read -r _",
    "\x1b[31m\r\n" + "x".repeat(300),
  ));
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
