/**
 * What waiting in the kernel doesn't do to the rest of a program. Each runs in
 * a process of its own, whose helper threads are kept busy.
 */
import { assert, assertEquals } from "@std/assert";
import { tryAcquire } from "../../../mod.ts";
import { runProgram } from "../../support/run_program.ts";
import { TempDir } from "../../support/temp_dir.ts";

const STRESS = Math.max(1, Number(Deno.env.get("HOLDFAST_STRESS") ?? 1));
const ROOT = new URL("../../../", import.meta.url);

/** What the scripts have in common: files that are read by helper threads. */
const PRELUDE = `
  import { acquire, tryAcquire } from ${
  JSON.stringify(new URL("mod.ts", ROOT))
};
  import { acquireRecordLock, tryRecordLock } from ${
  JSON.stringify(new URL("lib/acquire/record_lock.ts", ROOT))
};
  import { acquireLinkLock } from ${
  JSON.stringify(new URL("lib/acquire/link_lock.ts", ROOT))
};
  import { acquireSlots } from ${
  JSON.stringify(new URL("lib/patterns/mod.ts", ROOT))
};
  import { eventWake } from ${
  JSON.stringify(new URL("lib/wait/event_wake.ts", ROOT))
};
  import { readSleepingCalls } from ${
  JSON.stringify(new URL("lib/sys/sleeping_call.ts", ROOT))
};
  import { libc } from ${JSON.stringify(new URL("lib/sys/libc.ts", ROOT))};
  const [path, count] = Deno.args;
  const { symbols: { pipe, setuid } } = Deno.dlopen("libc.so.6", {
    pipe: { parameters: ["buffer"], result: "i32" },
    setuid: { parameters: ["u32"], result: "i32" },
  });
  const fdCount = () => [...Deno.readDirSync("/proc/self/fd")].length;
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  /** A pipe, and the file that a helper thread is to read. */
  function openPipe() {
    const fds = new Int32Array(2);
    pipe(fds);
    return { out: fds[1], file: Deno.openSync("/proc/self/fd/" + fds[0]) };
  }
  /** Waits until somebody is asleep in the kernel for a lock on a file. */
  async function asleep(path) {
    const { ino } = Deno.statSync(path);
    const isWait = (line) => line.includes("->") && line.includes(":" + ino + " ");
    while (!Deno.readTextFileSync("/proc/locks").split("\\n").some(isWait)) {
      await pause(1);
    }
  }
  const write = (fd) => libc.write(fd, new Uint8Array(1), 1n);
  const both = [acquire, acquireRecordLock];
`;

/** Runs a script and gives what it prints. */
async function run(script: string, ...args: string[]): Promise<string[]> {
  const { code, stdout, stderr } = await runProgram(Deno.execPath(), [
    "eval",
    "--no-config",
    PRELUDE + script,
    ...args,
  ]);
  assertEquals([code, stderr], [0, ""]);
  return stdout.trimEnd().split("\n");
}

Deno.test("thousands of waits given up interrupt no read of the program", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  using _flock = tryAcquire(path)!;
  const [aborts, reads, errors, left] = await run(
    `
    const holdingBack = () =>
      [...Deno.readDirSync("/proc/self/task")].filter(({ name }) => {
        try {
          const file = "/proc/self/task/" + name + "/status";
          return Deno.readTextFileSync(file).includes("SigBlk:\tf");
        } catch {
          return false;
        }
      }).length;
    let isOver = false;
    let reads = 0;
    const errors = [];
    const pipes = Array.from({ length: 45 }, openPipe);
    const readers = pipes.map(async ({ file }) => {
      while (!isOver) {
        await file.read(new Uint8Array(1)).then(
          () => reads++,
          (error) => errors.push(error.name),
        );
      }
    });
    using range = tryRecordLock(path);
    // The runtime opens what it takes to listen to signals, once.
    const first = new AbortController();
    const wait = acquire(path, { signal: first.signal });
    await asleep(path);
    first.abort();
    await wait.catch(() => {});
    const before = fdCount();
    let aborts = 0;
    while (aborts < Number(count)) {
      const controller = new AbortController();
      const { signal } = controller;
      const waits = Array.from({ length: 10 }, (_, i) =>
        both[i % 2](path.slice(0, 1).repeat(i) + path, { signal })
          .catch(() => aborts++));
      if (aborts % 3 === 0) await pause(0);
      controller.abort();
      for (const { out } of pipes) write(out);
      await Promise.all(waits);
    }
    const left = fdCount() - before;
    // Waiting threads alone hold back almost all signals.
    while (holdingBack() > 0) await pause(1);
    isOver = true;
    for (const { out } of pipes) write(out);
    for (const { out } of pipes) write(out);
    await Promise.all(readers);
    console.log(aborts + "\\n" + reads + "\\n" + [...new Set(errors)] + "\\n" + left);
    `,
    path,
    `${3000 * STRESS}`,
  );
  assert(Number(aborts) >= 3000 * STRESS, `${aborts} aborts`);
  assert(Number(reads) > 300, `${reads} reads`);
  assertEquals([errors, left], ["", "0"]);
});

Deno.test("with every helper thread busy a lock is handed over, and a wait given up", async () => {
  using dir = new TempDir();
  const lines = await run(
    `
    const pipes = Array.from({ length: 40 }, openPipe);
    const reads = pipes.map(({ file }) => file.read(new Uint8Array(1)));
    for (const [take, tryTake] of [
      [acquire, tryAcquire],
      [acquireRecordLock, tryRecordLock],
    ]) {
      const holder = tryTake(path);
      const wait = take(path);
      const controller = new AbortController();
      await asleep(path);
      holder.release();
      using lock = await wait;
      console.log("handed over");
      const given = take(path, { signal: controller.signal });
      await asleep(path);
      controller.abort();
      await given.catch(() => console.log("given up"));
      await take(path, { timeoutMs: 0.5 }).catch(() => console.log("late"));
    }
    for (const { out } of pipes) write(out);
    await Promise.all(reads);
    `,
    dir.join("a.lock"),
  );
  // The threads are busy until all is over: what needed one would never end.
  const each = ["handed over", "given up", "late"];
  assertEquals(lines, [...each, ...each]);
});

/** Waits that the kernel's events end, in an isolate whose threads are busy. */
const EVENT_WAITS = `
  const pipes = Array.from({ length: 45 }, openPipe);
  const reads = pipes.map(({ file }) => file.read(new Uint8Array(1)));
  /** Waits until a thread sleeps in poll(2), or ppoll(2) where that is all. */
  async function listening() {
    const isPoll = ({ number }) =>
      number === (Deno.build.arch === "aarch64" ? 73 : 7);
    while (!readSleepingCalls(Deno.pid).some(isPoll)) await pause(1);
  }
  Deno.writeTextFileSync(path, "");
  const hour = 3_600_000;
  for (let round = 0; round < 3; round++) {
    await using wake = eventWake(() => [{ path }], { backstopMs: hour });
    // The first wait only begins to watch.
    await wake.wait(hour);
    const woken = wake.wait(hour);
    await listening();
    Deno.openSync(path).close();
    await woken;
    say("woken");
  }
  const slots = (path, options) =>
    acquireSlots(path + ".slots", { slots: 1, ...options });
  for (const take of [acquire, acquireRecordLock, acquireLinkLock, slots]) {
    using holder = await take(path + take.name);
    for (const moment of ["at once", "later"]) {
      const controller = new AbortController();
      const { signal } = controller;
      const give = (options) => take(path + take.name, options)
        .catch((error) => say(error.name));
      const wait = give({ signal, timeoutMs: hour });
      if (moment === "later") await give({ timeoutMs: 20 });
      controller.abort();
      await wait;
    }
  }
  for (const { out } of pipes) write(out);
  await Promise.all(reads);
`;

/** What {@linkcode EVENT_WAITS} says. */
const EVENT_WAITS_SAY = [
  ...["woken", "woken", "woken"],
  ...[
    "LockTimeoutError",
    "LockTimeoutError",
    "LinkLockTimeoutError",
    "SlotTimeoutError",
  ].flatMap((late) => ["AbortError", late, "AbortError"]),
];

Deno.test("with every helper thread busy an event wakes, and waits for any kind of lock are given up", async () => {
  using dir = new TempDir();
  const lines = await run(
    `const say = (text) => console.log(String(text)); ${EVENT_WAITS}`,
    dir.join("a"),
  );
  assertEquals(lines, EVENT_WAITS_SAY);
});

Deno.test("so it is in a Worker", async () => {
  using dir = new TempDir();
  const code = `${PRELUDE.replace("Deno.args", JSON.stringify([dir.join("a")]))}
    const say = (text) => postMessage(String(text));
    ${EVENT_WAITS}
    postMessage("end");`;
  const lines = await run(`
    const url = "data:text/javascript," + encodeURIComponent(${
    JSON.stringify(code)
  });
    const worker = new Worker(url, { type: "module" });
    await new Promise((resolve) => {
      worker.onmessage = ({ data }) =>
        data === "end" ? resolve() : console.log(data);
    });
    worker.terminate();
  `);
  assertEquals(lines, EVENT_WAITS_SAY);
});

Deno.test("setuid(2), in which every thread takes part, isn't held up by a wait", async () => {
  using dir = new TempDir();
  const path = dir.join("a.lock");
  using _holder = tryAcquire(path)!;
  const [result] = await run(
    `
    const controller = new AbortController();
    const wait = acquire(path, { signal: controller.signal });
    await asleep(path);
    console.log(setuid(Deno.uid()));
    controller.abort();
    await wait.catch(() => {});
    `,
    path,
  );
  assertEquals(result, "0");
});

Deno.test("a program that ends while its waits are being granted ends as it would", async () => {
  using dir = new TempDir();
  const ends = {
    throw: [`throw new Error("mine")`, 1, "mine"],
    reject: [`Promise.reject(new Error("mine"))`, 1, "mine"],
    exit: [`Deno.exit(7)`, 7, ""],
    kill: [`Deno.kill(Deno.pid, "SIGTERM"); while (true);`, 143, ""],
  } as const;
  for (let round = 0; round < 3 * STRESS; round++) {
    const results = await Promise.all(
      Object.values(ends).map(async ([end, code, text], index) => {
        const path = dir.join(`${index}.lock`);
        const result = await runProgram(Deno.execPath(), [
          "eval",
          "--no-config",
          `${PRELUDE}
          const paths = Array.from({ length: 50 }, (_, i) => path + i);
          const held = paths.map((one) => tryAcquire(one));
          for (const one of paths) acquire(one);
          for (const one of paths) await asleep(one);
          held.forEach((lock) => lock.release());
          setTimeout(() => { ${end} }, ${round % 3});
          `,
          path,
        ]);
        const names = Array.from({ length: 50 }, (_, i) => `${path}${i}`);
        return {
          code: result.code === code,
          text: result.stderr.includes(text),
          isFree: names.every((name) => {
            using lock = tryAcquire(name);
            return lock !== undefined;
          }),
        };
      }),
    );
    for (const result of results) {
      assertEquals(result, { code: true, text: true, isFree: true });
    }
  }
});
