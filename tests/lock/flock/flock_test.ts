import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  blockRecordLock,
  fOfdSetlkw,
} from "../../../lib/acquire/record_lock.ts";
import {
  blockFlock,
  blockFlockFd,
  probeLockFile,
  tryFlock,
} from "../../../lib/lock/flock/mod.ts";
import { formatNeedle, needleFromPath } from "../../../lib/inspect/needle.ts";
import { LockError, materialize, SyscallError } from "../../../mod.ts";
import { closeFile } from "../../../lib/sys/file.ts";
import { HelperProcess } from "../../support/helper_process.ts";
import { holdFlock, isFlockFree } from "../../support/foreign_flock.ts";
import { openDescriptors } from "../../support/open_descriptors.ts";
import { runScript } from "../../support/run_script.ts";
import { settled } from "../../support/settled.ts";
import { TempDir } from "../../support/temp_dir.ts";

/** The lines about a file; while others lock, a line may be read twice. */
function flockLines(path: string): string[] {
  const needle = formatNeedle(needleFromPath(path)!);
  return settled(() => [
    ...new Set(
      Deno.readTextFileSync("/proc/locks").split("\n")
        .filter((line) => line.includes(` ${needle} `))
        .map((line) => line.replace(/^\d+: /, "")),
    ),
  ]);
}

Deno.test("tryFlock: an exclusive lock excludes another process", () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  using lock = tryFlock(path);
  assert(lock?.held);
  assertEquals(lock.mode, "exclusive");
  assertEquals(isFlockFree(path), false);
  lock.release();
  assertEquals(lock.held, false);
  assertEquals(isFlockFree(path), true);
});

Deno.test("tryFlock: the kernel lists the lock under this process", () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  const lines: string[][] = [];
  {
    using _lock = tryFlock(path, { mode: "shared" });
    lines.push(flockLines(path));
  }
  lines.push(flockLines(path));
  assertEquals(lines[0]!.length, 1);
  assert(lines[0]![0]!.startsWith(`FLOCK  ADVISORY  READ ${Deno.pid} `));
  assertEquals(lines[1], []);
});

Deno.test("tryFlock: busy is a value, and leaves no descriptor behind", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  await using _holder = await holdFlock(path);
  tryFlock(path); // Binds what it needs.
  const before = openDescriptors();
  assertEquals(tryFlock(path), undefined);
  assertEquals(tryFlock(path, { mode: "shared" }), undefined);
  assertEquals(openDescriptors(), before);
});

Deno.test("tryFlock: shared locks share, and exclude an exclusive one", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  await using holder = await holdFlock(path, "shared");
  {
    using shared = tryFlock(path, { mode: "shared" });
    assert(shared?.held);
    assertEquals(tryFlock(path), undefined);
  }
  await holder.finish();
  using exclusive = tryFlock(path);
  assert(exclusive?.held);
});

Deno.test("two handles of one process exclude each other", () => {
  using dir = new TempDir();
  using lock = tryFlock(dir.join("a.lock"));
  assert(lock);
  assertEquals(tryFlock(dir.join("a.lock")), undefined);
});

Deno.test("release is idempotent and keeps the lock file", () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  const lock = tryFlock(path)!;
  lock.release();
  const reused = Deno.openSync("/dev/null");
  lock.release();
  lock[Symbol.dispose]();
  // A second close would have hit the descriptor that reused the number.
  assertEquals(reused.readSync(new Uint8Array(1)), null);
  reused.close();
  assert(Deno.statSync(path).isFile);
});

Deno.test("a killed holder's lock is free at once", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  await using holder = await holdFlock(path);
  assertEquals(tryFlock(path), undefined);
  holder.kill("SIGKILL");
  await holder.status;
  using lock = tryFlock(path);
  assert(lock?.held);
});

Deno.test("a command does not inherit the lock, unless told to", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  const lock = tryFlock(path)!;
  {
    await using _child = await HelperProcess.start("sh", [
      "-c",
      "echo ready; read -r _",
    ]);
    closeFile(lock.fd); // The end of the descriptor, without LOCK_UN.
    using again = tryFlock(path);
    assert(again?.held);
  }
  const kept = tryFlock(path)!;
  kept.setInheritable(true);
  {
    await using _child = await HelperProcess.start("sh", [
      "-c",
      "echo ready; read -r _",
    ]);
    closeFile(kept.fd);
    assertEquals(tryFlock(path), undefined);
  }
  using free = tryFlock(path);
  assert(free?.held);
});

Deno.test("release ends a lock that a child has inherited", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  const lock = tryFlock(path)!;
  lock.setInheritable(true);
  await using _child = await HelperProcess.start("sh", [
    "-c",
    "echo ready; read -r _",
  ]);
  lock.release();
  using again = tryFlock(path);
  assert(again?.held);
});

Deno.test("blockFlock: gives up after timeoutMs, ticking meanwhile", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  await using _holder = await holdFlock(path);
  let ticks = 0;
  const start = performance.now();
  const lock = blockFlock(path, {
    timeoutMs: 230,
    tickMs: 50,
    onTick: () => ticks++,
  });
  const elapsed = performance.now() - start;
  assertEquals(lock, undefined);
  assert(elapsed >= 230, `${elapsed} ms`);
  // A busy machine may let some go by.
  assert(ticks >= 1 && ticks <= elapsed / 50, `${ticks} ticks`);
});

for (const timeoutMs of [NaN, -1]) {
  Deno.test(`a thread can't sleep for a timeoutMs of ${timeoutMs}`, () => {
    using dir = new TempDir();
    const path = dir.join("a.lock");
    // Busy: nobody would ever wake a thread that sleeps here.
    using held = tryFlock(path)!;
    for (
      const sleep of [
        () => blockFlock(path, { timeoutMs }),
        () => blockFlockFd(held.fd, { timeoutMs }),
        () => blockRecordLock(path, { timeoutMs }),
        () => fOfdSetlkw(held.fd, { type: "write" }, { timeoutMs }),
      ]
    ) assertThrows(sleep, RangeError, "timeoutMs must be 0 or more");
  });
}

Deno.test("blockFlock: ticks end when one says so", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  await using _holder = await holdFlock(path);
  let ticks = 0;
  const lock = blockFlock(path, {
    timeoutMs: 120,
    tickMs: 20,
    onTick: () => ++ticks < 2,
  });
  assertEquals(lock, undefined);
  assertEquals(ticks, 2);
});

Deno.test("blockFlock: wakes when the holder goes", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  // A holder that goes by itself once it sees a waiter in /proc/locks.
  await using _holder = await runScript(
    `const fd = open(args[0]);
flock(fd);
say("ready");
untilWaitedFor(fd);`,
    path,
  );
  using lock = blockFlock(path, { timeoutMs: 20_000 });
  assert(lock?.held);
});

Deno.test("blockFlock leaves SIGALRM, the signal mask and no timer behind", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  await using _holder = await holdFlock(path);
  const state = () => {
    const status = Deno.readTextFileSync("/proc/self/status");
    const caught = /^SigCgt:\s*(\w+)$/m.exec(status)![1]!;
    return {
      signals: status.match(/^Sig(Ign|Blk).*$/gm),
      catchesAlarm: (BigInt(`0x${caught}`) >> 13n & 1n) === 1n,
      timers: Deno.readTextFileSync("/proc/self/timers"),
    };
  };
  const before = state();
  blockFlock(path, { timeoutMs: 30 });
  assertEquals(state(), before);
});

Deno.test("threads that sleep in blockFlock at once each wake at their own deadline", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  const flock =
    new URL("../../../lib/lock/flock/flock.ts", import.meta.url).href;
  const worker = `import { blockFlock } from ${JSON.stringify(flock)};
    self.onmessage = ({ data: [path, timeoutMs] }) => {
      self.postMessage(blockFlock(path, { timeoutMs }) === undefined);
      self.close();
    };`;
  // One that ends while others sleep must not take their signal's handler
  // away: the signal would end the process.
  const script = `import { tryFlock } from ${JSON.stringify(flock)};
    const path = ${JSON.stringify(path)};
    using held = tryFlock(path);
    const results = await Promise.all([20, 60, 100, 140].map((ms) => {
      const worker = new Worker(
        "data:text/javascript," + ${JSON.stringify(encodeURIComponent(worker))},
        { type: "module" },
      );
      worker.postMessage([path, ms]);
      return new Promise((resolve) => {
        worker.onmessage = ({ data }) => resolve(data);
      });
    }));
    console.log(JSON.stringify(results));`;
  const { stdout, code, signal } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--quiet",
      "--no-check",
      `data:text/javascript,${encodeURIComponent(script)}`,
    ],
  }).output();
  assertEquals({ code, signal }, { code: 0, signal: null });
  assertEquals(
    new TextDecoder().decode(stdout).trim(),
    "[true,true,true,true]",
  );
});

Deno.test("a lock file removed by its holder is locked anew", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  // The holder unlinks the name while this process waits on its inode.
  await using _holder = await runScript(
    `const fd = open(args[0]);
flock(fd);
say("ready");
untilWaitedFor(fd);
Deno.removeSync(args[0]);`,
    path,
  );
  using lock = blockFlock(path, { timeoutMs: 20_000 });
  assert(lock?.held);
  assertEquals(
    Deno.statSync(path).ino,
    Deno.statSync(`/proc/self/fd/${lock.fd}`).ino,
  );
});

Deno.test("materialize creates, and neither empties nor locks", () => {
  using dir = new TempDir();
  const path = dir.join("deep/er/a.lock");
  assertThrows(() => materialize(path), SyscallError, "does not exist");
  materialize(path, { createParents: true });
  assert(Deno.statSync(path).isFile);
  Deno.writeTextFileSync(path, "content");
  materialize(path);
  assertEquals(Deno.readTextFileSync(path), "content");
  assertEquals(flockLines(path), []);
});

Deno.test("probeLockFile never creates", () => {
  using dir = new TempDir();
  assertEquals(probeLockFile(dir.join("a.lock")), undefined);
  assertEquals([...Deno.readDirSync(dir.path)], []);
  Deno.writeTextFileSync(dir.join("a.lock"), "");
  const probe = probeLockFile(dir.join("a.lock"));
  assertEquals(probe?.stat.type, "file");
  closeFile(probe!.fd);
});

Deno.test("a directory, a read-only file and a symbolic link can be locked", () => {
  using dir = new TempDir();
  {
    using lock = tryFlock(dir.path);
    assert(lock?.held);
    assertEquals(tryFlock(dir.path), undefined);
  }
  Deno.writeTextFileSync(dir.join("target.lock"), "");
  Deno.symlinkSync("target.lock", dir.join("link.lock"));
  using lock = tryFlock(dir.join("link.lock"));
  assert(lock?.held);
  assertEquals(tryFlock(dir.join("target.lock")), undefined);
});

Deno.test("a dangling symbolic link creates its target", () => {
  using dir = new TempDir();
  Deno.symlinkSync("target.lock", dir.join("link.lock"));
  using lock = tryFlock(dir.join("link.lock"));
  assert(lock?.held);
  assert(Deno.statSync(dir.join("target.lock")).isFile);
});

const HOSTILE: [string, (dir: TempDir) => string, string][] = [
  ["a FIFO", (dir) => {
    new Deno.Command("mkfifo", { args: [dir.join("x")] }).outputSync();
    return dir.join("x");
  }, "it is a fifo"],
  ["a device", () => "/dev/null", "it is a character device"],
  ["a symlink loop", (dir) => {
    Deno.symlinkSync("x", dir.join("x"));
    return dir.join("x");
  }, "ELOOP (40)"],
  ["a missing directory", (dir) => dir.join("no/x"), "does not exist"],
  ["a file as directory", () => "/etc/passwd/x", "ENOTDIR (20)"],
  ["5,000 characters", (dir) => dir.join("x/".repeat(2500)), "ENAMETOOLONG"],
  ["an empty path", () => "", "the path is empty"],
];

for (const [what, make, message] of HOSTILE) {
  Deno.test(`tryFlock refuses ${what} in one sentence`, () => {
    using dir = new TempDir();
    const path = make(dir);
    const before = openDescriptors();
    const error = assertThrows(() => tryFlock(path), LockError, message);
    assertEquals(error.message.includes("\n"), false);
    assertEquals(openDescriptors(), before);
  });
}

Deno.test("a path with NUL is a TypeError, control characters are shown", () => {
  assertThrows(() => tryFlock("a\0b"), TypeError, "NUL");
  assertThrows(
    () => tryFlock("/no/\x1b[31m\n"),
    SyscallError,
    '"/no/\\x1b[31m\\n"',
  );
});
