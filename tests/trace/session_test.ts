import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { fromFileUrl } from "@std/path/from-file-url";
import { TraceInstance } from "../../lib/trace/instance.ts";
import { pollLocks } from "../../lib/trace/poll.ts";
import { TraceReader } from "../../lib/trace/reader.ts";
import { openTracefs, TraceUnavailableError } from "../../lib/trace/tracefs.ts";
import { runCli } from "../support/cli.ts";
import { cliArgs } from "../support/cli.ts";
import { needsMounts } from "../support/private_mounts.ts";
import { runProgram } from "../support/run_program.ts";
import { openDescriptors } from "../support/open_descriptors.ts";
import { HelperProcess } from "../support/helper_process.ts";
import { runScript } from "../support/run_script.ts";
import { TempDir } from "../support/temp_dir.ts";
import {
  listInstances,
  needsTracing,
  RunningTrace,
  startLocker,
  tell,
} from "./support/tracing.ts";

const { ignore, suffix } = needsTracing;

const words = (activity: { event: string; process: { pid: number } }) =>
  `${activity.event} ${activity.process.pid}`;

Deno.test({
  name: `a trace tells takings, refusals, waits and releases${suffix}`,
  ignore,
  async fn() {
    using dir = new TempDir();
    const path = dir.join("lock");
    await using first = await startLocker(path);
    await using second = await startLocker(path);
    await using trace = await RunningTrace.start({
      directories: [dir.path],
      wantsFile: (file) => file.path === path,
    });
    assertEquals(await tell(first, "lock 0"), "done");
    assertEquals(await tell(second, "try 0"), "busy");
    await second.writeLine("lock 0");
    await trace.until(({ event }) => event === "waiting");
    await tell(first, "unlock 0");
    assertEquals(await second.nextLine(), "done");
    await tell(second, "unlock 0");
    const told = await trace.end();
    // A call that failed is made again to be sure of its error number.
    const refusals = told.filter(({ event }) => event === "refused");
    const once = told.filter((each) => !refusals.slice(1).includes(each));
    assertEquals(once.map(words), [
      `acquired ${first.pid}`,
      `refused ${second.pid}`,
      `waiting ${second.pid}`,
      `released ${first.pid}`,
      `acquired ${second.pid}`,
      `released ${second.pid}`,
    ]);
    const [, refused, waiting, , acquired] = once;
    assertEquals(refused?.holders?.map((h) => h.process.pid), [first.pid]);
    assertEquals(waiting?.holders?.map((h) => h.process.pid), [first.pid]);
    assert(waiting!.process.command.includes("deno"));
    // A time since 1970 in a double is exact to a quarter of a microsecond.
    assertAlmostEquals(
      acquired!.waitedMs!,
      acquired!.timeMs - waiting!.timeMs,
      0.002,
    );
    assertEquals(trace.last?.totalLost, 0);
  },
});

Deno.test({
  name: `what was held before is told first, and its release later${suffix}`,
  ignore,
  async fn() {
    using dir = new TempDir();
    const path = dir.join("lock");
    await using holder = await startLocker(path);
    await tell(holder, "share 0");
    await using trace = await RunningTrace.start({
      directories: [dir.path],
      wantsFile: (file) => file.path === path,
    });
    await holder.finish();
    const told = await trace.end();
    assertEquals(told.map(words), [
      `held ${holder.pid}`,
      `released ${holder.pid}`,
    ]);
    assertEquals(told[0]?.mode, "READ");
    assertEquals(told[1]?.heldMs, undefined);
  },
});

Deno.test({
  name: `the kernel's filter leaves out other files${suffix}`,
  ignore,
  async fn() {
    using dir = new TempDir();
    const paths = [dir.join("a"), dir.join("b")];
    for (const path of paths) Deno.writeTextFileSync(path, "");
    const { needleFromPath } = await import("../../lib/inspect/needle.ts");
    const needle = needleFromPath(paths[1]!)!;
    await using locker = await startLocker(...paths);
    await using trace = await RunningTrace.start({
      onlyFiles: [{ ...needle, path: paths[1], pathStatus: "here" }],
    });
    await tell(locker, "lock 0");
    await tell(locker, "lock 1");
    const told = await trace.end();
    assertEquals(told.map(({ file }) => file.path), [paths[1]]);
  },
});

Deno.test({
  name: `a trace leaves no instance, mount or descriptor behind${suffix}`,
  ignore,
  async fn() {
    const mounts = Deno.readTextFileSync("/proc/self/mountinfo");
    const before = openDescriptors();
    const trace = await RunningTrace.start();
    assertEquals(listInstances().filter(isOwn).length, 1);
    await trace.end();
    assertEquals(listInstances().filter(isOwn), []);
    assertEquals(openDescriptors(), before);
    assertEquals(Deno.readTextFileSync("/proc/self/mountinfo"), mounts);
  },
});

function isOwn(name: string): boolean {
  return name.startsWith(`holdfast-${Deno.pid}-`);
}

Deno.test({
  name: `the instance of a killed tracer is removed by the next${suffix}`,
  ignore,
  async fn() {
    const main = fromFileUrl(new URL("../../cli/main.ts", import.meta.url));
    const config = fromFileUrl(new URL("../../deno.json", import.meta.url));
    const args = ["run", "-A", "--quiet", "--config", config, main];
    const tracer = HelperProcess.spawn(Deno.execPath(), [
      ...args,
      "trace",
      "--json",
    ]);
    // Its first line comes once the trace is on.
    const line = await tracer.nextLine();
    assertEquals(JSON.parse(line!).event, "trace-started");
    const isOf = (name: string) => name.startsWith(`holdfast-${tracer.pid}-`);
    assertEquals(listInstances().filter(isOf).length, 1);
    await tracer[Symbol.asyncDispose]();
    assertEquals(listInstances().filter(isOf).length, 1);
    await (await RunningTrace.start()).end();
    assertEquals(listInstances().filter(isOf), []);
  },
});

Deno.test({
  name: `the instance of a living tracer is left alone${suffix}`,
  ignore,
  async fn() {
    using tracefs = openTracefs();
    using instance = TraceInstance.create(tracefs.root, { bufferKb: 64 });
    const { removeStaleInstances } = await import(
      "../../lib/trace/instance.ts"
    );
    removeStaleInstances(tracefs.root);
    assertEquals(listInstances().filter(isOwn).length, 1);
    assertThrows(
      () => TraceInstance.create(tracefs.root, {}),
      TraceUnavailableError,
      "already has a trace",
    );
    assert(instance.buffers.length > 0);
  },
});

Deno.test({
  name: `events that were lost are counted, to the last one${suffix}`,
  ignore,
  async fn() {
    using dir = new TempDir();
    const path = dir.join("lock");
    await using locker = await startLocker(path);
    using tracefs = openTracefs();
    const inode = Deno.statSync(path).ino!;
    using instance = TraceInstance.create(tracefs.root, {
      bufferKb: 64,
      lockFilter: `i_ino == ${inode}`,
    });
    // Only what this test makes is to be counted.
    const [name] = listInstances().filter(isOwn);
    const events = `${tracefs.root}/instances/${name}/events`;
    Deno.writeTextFileSync(`${events}/enable`, "0");
    Deno.writeTextFileSync(`${events}/filelock/flock_lock_inode/enable`, "1");
    const reader = new TraceReader(instance);
    const skip = () => {};
    reader.read(skip);
    const receivedBefore = reader.received;
    const lostBefore = reader.lost;
    const rounds = 10_000;
    await locker.writeLine("lock 0\nunlock 0\n".repeat(rounds).trimEnd());
    for (let n = 0; n < 2 * rounds; n++) await locker.nextLine();
    while (reader.finish(skip).isBehind);
    const lost = reader.lost - lostBefore;
    assert(lost > 0, "the buffer held them all");
    assertEquals(reader.received - receivedBefore + lost, 2 * rounds);
  },
});

for (
  const [target, words] of [
    ["/dev/full", 'Cannot write trace "/dev/full": write returned ENOSPC'],
    ["/dev/null/x", 'Cannot open trace "/dev/null/x": open returned ENOTDIR'],
  ] as const
) {
  Deno.test({
    name: `a trace that can't be written to ${target} says so${suffix}`,
    ignore,
    async fn() {
      const { code, stderr } = await runCli(["trace", "-o", target]);
      assertStringIncludes(stderr, words);
      assert(code !== 0);
    },
  });
}

const pidNamespace = needsMounts();

Deno.test({
  name:
    `in a pid namespace of its own a trace says what to do${pidNamespace.suffix}`,
  ignore: pidNamespace.ignore,
  async fn() {
    const { code, stderr } = await runProgram("unshare", [
      "-pf",
      "--mount-proc",
      Deno.execPath(),
      ...cliArgs(["trace", "--for", "1ms"]),
    ]);
    assertEquals(code, 69);
    assertStringIncludes(stderr, "run it on the host");
  },
});

Deno.test({
  name: "without root a trace says what to do (needs another user)",
  ignore: Deno.uid() === 0,
  fn() {
    assertThrows(() => openTracefs(), TraceUnavailableError, "run it as root");
  },
});

Deno.test("polling tells what it sees of taking, waiting and releasing", async () => {
  using dir = new TempDir();
  const path = dir.join("lock");
  await using first = await startLocker(path);
  await using second = await startLocker(path);
  const controller = new AbortController();
  const told: string[] = [];
  const steps: Readonly<Record<string, () => Promise<unknown>>> = {
    "": () => tell(first, "lock 0"),
    [`acquired ${first.pid}`]: () => second.writeLine("lock 0"),
    [`waiting ${second.pid}`]: () => tell(first, "unlock 0"),
    [`acquired ${second.pid}`]: () => tell(second, "unlock 0"),
    [`released ${second.pid}`]: () => Promise.resolve(controller.abort()),
  };
  const { signal } = controller;
  const wantsFile = (file: { path: string | undefined }) => file.path === path;
  for await (
    const { activities } of pollLocks({
      signal,
      wantsFile,
      directories: [dir.path],
      intervalMs: 1,
    })
  ) {
    told.push(...activities.map(words));
    await steps[told.at(-1) ?? ""]?.();
  }
  assertEquals(told, [
    `acquired ${first.pid}`,
    `waiting ${second.pid}`,
    `released ${first.pid}`,
    `acquired ${second.pid}`,
    `released ${second.pid}`,
  ]);
});

Deno.test("polling tells who gave up, though it lives and is asleep", async () => {
  using dir = new TempDir();
  const path = dir.join("lock");
  await using holder = await startLocker(path);
  await tell(holder, "lock 0");
  const flock = new URL("../../lib/lock/flock/flock.ts", import.meta.url);
  // It waits and gives up again and again: one time or other that is seen.
  await using waiter = await runScript(
    `const { blockFlock } = await import("${flock.href}");
say("ready");
const gate = new Int32Array(new SharedArrayBuffer(4));
for (;;) {
  try { blockFlock(args[0], { timeoutMs: 200 }); } catch { /* Busy. */ }
  Atomics.wait(gate, 0, 0, 200);
}`,
    path,
  );
  const controller = new AbortController();
  const { signal } = controller;
  const told: string[] = [];
  const wantsFile = (file: { path: string | undefined }) => file.path === path;
  const options = { signal, wantsFile, directories: [dir.path], intervalMs: 1 };
  for await (const { activities } of pollLocks(options)) {
    told.push(...activities.map(words));
    if (told.includes(`gave-up ${waiter.pid}`)) controller.abort();
  }
  assertEquals(told.slice(0, 3), [
    `held ${holder.pid}`,
    `waiting ${waiter.pid}`,
    `gave-up ${waiter.pid}`,
  ]);
});
