import {
  assert,
  assertEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { LockError } from "../../lib/sys/error.ts";
import { closeFile } from "../../lib/sys/file.ts";
import type { LockActivity } from "../../lib/trace/activity.ts";
import { listHistory, openHistory } from "../../lib/trace/history.ts";
import { RunEventReader } from "../../lib/trace/report/run_events.ts";
import { cliArgs, runCli } from "../support/cli.ts";
import { runProgram } from "../support/run_program.ts";
import { TempDir } from "../support/temp_dir.ts";

Deno.test("a history that has grown gives way to a new file, four times", () => {
  using dir = new TempDir();
  const path = dir.join("events");
  for (let n = 0; n < 8; n++) {
    closeFile(openHistory(path, 10n));
    Deno.writeTextFileSync(path, `${n}`.repeat(10));
  }
  closeFile(openHistory(path, 10n));
  const names = [...Deno.readDirSync(dir.path)].map(({ name }) => name).sort();
  assertEquals(names, [
    "events",
    "events.1",
    "events.2",
    "events.3",
    "events.4",
  ]);
  assertEquals(
    listHistory(path).map((part) => Deno.readTextFileSync(part).slice(0, 1)),
    ["4", "5", "6", "7", ""],
  );
});

Deno.test("a small history is appended to", () => {
  using dir = new TempDir();
  const path = dir.join("events");
  Deno.writeTextFileSync(path, "123456789");
  closeFile(openHistory(path, 10n));
  assertEquals(listHistory(path), [path]);
});

Deno.test("a directory has a history of its own name", () => {
  using dir = new TempDir();
  closeFile(openHistory(dir.path));
  assertEquals(listHistory(dir.path), [dir.join("holdfast.jsonl")]);
  assertEquals(listHistory(`${dir.path}/`), [dir.join("holdfast.jsonl")]);
  assert(Deno.statSync(dir.join("holdfast.jsonl")).isFile);
});

Deno.test("runs at once append whole lines, and a report sums them up", async () => {
  using dir = new TempDir();
  const lock = dir.join("lock");
  const events = dir.join("history/");
  Deno.mkdirSync(events);
  const env = { HOLDFAST_EVENTS: events };
  const runs = 8;
  await Promise.all(
    Array.from({ length: runs }, () =>
      runProgram(
        Deno.execPath(),
        cliArgs(["run", "-q", lock, "--", "true"], ["--allow-ffi"]),
        { env },
      )),
  );
  const [path] = listHistory(events);
  const lines = Deno.readTextFileSync(path!).trimEnd().split("\n")
    .map((line) => JSON.parse(line));
  const ofEvent = (name: string) => lines.filter(({ event }) => event === name);
  assertEquals(ofEvent("acquired").length, runs);
  assertEquals(ofEvent("released").length, runs);
  assertEquals(new Set(lines.map(({ run }) => run)).size, runs);

  const { code, stdout } = await runCli(["report", "--json"], { env });
  assertEquals(code, 0);
  const [found] = JSON.parse(stdout).locks;
  assertEquals([found.file.path, found.type], [lock, "FLOCK"]);
  assertEquals([found.taken, found.holds.count, found.heldNow], [8, 8, 0]);
  assertEquals(found.waits.count, ofEvent("waiting").length);
});

Deno.test("a run goes on without a history that can't be written", async () => {
  using dir = new TempDir();
  const { code, stdout, stderr } = await runCli(
    ["run", dir.join("lock"), "--", "echo", "ran"],
    { env: { HOLDFAST_EVENTS: dir.join("none/events") } },
  );
  assertEquals([code, stdout], [0, "ran\n"]);
  assert(stderr.includes("missing in the history"), stderr);
});

const line = (event: string, more: object = {}) => ({
  schema: 1,
  event,
  time: "2026-11-25T10:00:00.000Z",
  run: "a",
  holder: 7,
  kind: "ofd",
  mode: "shared",
  command: ["make", "all"],
  locks: ["/x", "/y"],
  ...more,
});

Deno.test("the lines of a run say who waited for and held which lock", () => {
  const reader = new RunEventReader();
  const told = [
    line("waiting", { path: "/y" }),
    line("waiting", { path: "/y" }),
    line("acquired", { waitMs: 5 }),
    line("started", { pid: 8 }),
    line("released", { holdMs: 9 }),
  ].flatMap((each) => reader.read(each)!);
  assertEquals(
    told.map(({ event, file, waitedMs, heldMs }) => [
      event,
      file.path,
      waitedMs,
      heldMs,
    ]),
    [
      ["waiting", "/y", undefined, undefined],
      ["acquired", "/x", undefined, undefined],
      ["acquired", "/y", 5, undefined],
      ["released", "/x", undefined, 9],
      ["released", "/y", undefined, 9],
    ],
  );
  assertEquals(told[0]?.process, { pid: 7, command: "make all" });
  assertEquals([told[0]?.type, told[0]?.mode], ["OFDLCK", "READ"]);
});

Deno.test("a deadline without a wait is a refusal", () => {
  const reader = new RunEventReader();
  assertEquals(
    reader.read(line("timeout", { waitMs: 0 }))?.map(({ event }) => event),
    ["refused", "refused"],
  );
  reader.read(line("waiting", { path: "/x" }));
  const [gaveUp] = reader.read(line("timeout", { waitMs: 20 }))!;
  assertEquals([gaveUp?.event, gaveUp?.reason], ["gave-up", "timeout"]);
});

Deno.test("a run that was killed holds nothing any more", () => {
  const reader = new RunEventReader();
  reader.read(line("acquired", { waitMs: 0 }));
  const told = reader.finish((pid) => pid !== 7, 42);
  assertEquals(
    told.map(({ event, reason, heldMs }) => [event, reason, heldMs]),
    [["released", "unseen", undefined], ["released", "unseen", undefined]],
  );
  reader.read(line("acquired", { waitMs: 0 }));
  assertEquals(reader.finish(() => true, 42), []);
});

Deno.test("runs under runs show locks that are taken in clashing orders", () => {
  const reader = new RunEventReader();
  const of = (run: string, path: string, ancestors: number[]) => {
    const about = { run, holder: run.charCodeAt(0), mode: "exclusive" };
    const told = (event: string, more = {}) =>
      reader.read(line(event, { ...about, locks: [path], ...more }))!;
    return {
      acquired: () => told("acquired", { waitMs: 0, ancestors }),
      waiting: () => told("waiting", { path, ancestors }),
      started: (pid: number) => told("started", { pid }),
      released: () => told("released", { waitMs: 0, holdMs: 1 }),
    };
  };
  const held = ([activity]: LockActivity[]) =>
    activity?.alsoHeld?.map(({ file, holderPid }) => [file.path, holderPid]);
  const outer = of("A", "/a", [2, 1]);
  assertEquals(held(outer.acquired()), undefined);
  outer.started(50);
  assertEquals(held(of("B", "/b", [51, 50, 1]).waiting()), [["/a", 65]]);
  assertEquals(held(of("C", "/c", [50, 1]).acquired()), [["/a", 65]]);
  // The same lock is no other; who isn't under it has nothing of it.
  assertEquals(held(of("D", "/a", [50, 1]).waiting()), undefined);
  assertEquals(held(of("E", "/e", [2, 1]).acquired()), undefined);
  outer.released();
  assertEquals(held(of("F", "/f", [50, 1]).acquired()), undefined);
  // A run that was killed can't tell; the next holder of its lock does.
  const killed = of("G", "/g", [2, 1]);
  killed.acquired();
  killed.started(60);
  of("H", "/g", [2, 1]).acquired();
  assertEquals(held(of("I", "/i", [60, 1]).acquired()), undefined);
});

Deno.test("report finds the clashing orders of runs in their history", async () => {
  using dir = new TempDir();
  const [a, b] = [dir.join("a"), dir.join("b")];
  const env = { HOLDFAST_EVENTS: dir.join("events") };
  for (const [outer, inner] of [[a, b], [b, a]] as const) {
    const { code, stderr } = await runCli([
      ...["run", outer, "--", Deno.execPath()],
      ...cliArgs(["run", inner, "--", "true"]),
    ], { env });
    assertEquals(code, 0, stderr);
  }
  const { stdout } = await runCli(["report", "--json", env.HOLDFAST_EVENTS]);
  const { inversions } = JSON.parse(stdout);
  assertEquals(
    inversions.map(({ steps }: { steps: Step[] }) =>
      steps.map(({ held, wanted }) => [held.file.path, wanted.file.path])
    ),
    [[[a, b], [b, a]]],
  );
});

interface Step {
  held: { file: { path: string } };
  wanted: { file: { path: string } };
}

Deno.test("a FIFO that nobody reads is no history, and no run waits for its reader", async () => {
  using dir = new TempDir();
  const fifo = dir.join("fifo");
  await runProgram("mkfifo", [fifo]);
  const { code, stderr } = await runCli(
    ["run", dir.join("lock"), "--", "true"],
    { env: { HOLDFAST_EVENTS: fifo } },
  );
  assertEquals(code, 0, stderr);
  assertStringIncludes(stderr, "open returned ENXIO");
  assertStringIncludes(stderr, "this run is missing in the history");
  // With a reader it can be opened, and isn't taken either.
  const reader = Deno.openSync(fifo, { read: true, write: true });
  assertThrows(() => openHistory(fifo), LockError, "it is a fifo");
  reader.close();
});

Deno.test("events go to a FIFO that is read, each line whole", async () => {
  using dir = new TempDir();
  const fifo = dir.join("fifo");
  await runProgram("mkfifo", [fifo]);
  using reader = Deno.openSync(fifo, { read: true, write: true });
  const { code, stderr } = await runCli(
    ["run", "--json-events", fifo, dir.join("lock"), "--", "true"],
  );
  assertEquals(code, 0, stderr);
  const buffer = new Uint8Array(1 << 16);
  const text = new TextDecoder().decode(
    buffer.subarray(0, reader.readSync(buffer)!),
  );
  assertEquals(
    text.trimEnd().split("\n").map((line) => JSON.parse(line).event),
    ["acquired", "started", "exited", "released"],
  );
});
