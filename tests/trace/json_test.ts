import { assertEquals } from "@std/assert";
import type { LockActivity } from "../../lib/trace/activity.ts";
import {
  isoTime,
  parseIsoTime,
  TraceLineReader,
  TraceLineWriter,
  type TraceNote,
} from "../../lib/trace/json.ts";
import { activity, held } from "./support/activities.ts";

function copy<T extends LockActivity | TraceNote>(said: T) {
  const writer = new TraceLineWriter();
  const line = "file" in said ? writer.activity(said) : writer.note(said);
  assertEquals(line.indexOf("\n"), line.length - 1);
  return new TraceLineReader().read(JSON.parse(line));
}

Deno.test("a line reads back as what it was written from", () => {
  const said: LockActivity = {
    ...activity(1_764_064_800_123.5, "refused", 7, '/a "b"\n\u001b'),
    startByte: (1n << 62n) + 1n,
    endByte: (1n << 62n) + 9n,
    waitedMs: 1.25,
    heldMs: 0.001,
    reason: "EDEADLK",
    holders: [
      { process: { pid: 8, command: 'x "y"' }, heldMs: 3 },
      { process: { pid: 9, command: "z" }, heldMs: undefined },
    ],
    alsoHeld: [held("/c", { mode: "READ", endByte: 4n })],
  };
  assertEquals(copy(said), said);
});

Deno.test("what isn't known stays so", () => {
  const said = activity(1000, "acquired", 7, "/a", {
    file: {
      major: 0,
      minor: 27,
      inode: (1n << 64n) - 1n,
      path: undefined,
      pathStatus: "unknown",
    },
  });
  assertEquals(copy(said), {
    ...said,
    waitedMs: undefined,
    heldMs: undefined,
    reason: undefined,
    holders: undefined,
    alsoHeld: [],
  });
});

Deno.test("notes about the trace read back, too", () => {
  const notes: TraceNote[] = [
    { event: "trace-started", timeMs: 1, source: "poll", pid: 7 },
    { event: "lost", timeMs: 2.5, count: 12 },
    { event: "trace-ended", timeMs: 3, received: 5, lost: 12 },
  ];
  for (const note of notes) assertEquals(copy(note), note);
});

Deno.test("times keep their microseconds", () => {
  assertEquals(isoTime(1.25), "1970-01-01T00:00:00.001250Z");
  assertEquals(parseIsoTime("1970-01-01T00:00:00.001250Z"), 1.25);
  assertEquals(parseIsoTime("1970-01-01T00:00:01Z"), 1000);
  assertEquals(parseIsoTime(12), NaN);
});

Deno.test("lines of other kinds are none of a trace's", () => {
  const reader = new TraceLineReader();
  for (
    const line of [
      null,
      7,
      "x",
      [],
      {},
      { schema: 1 },
      { schema: 2, event: "lost", time: isoTime(0), count: 1 },
      { schema: 1, event: "acquired", time: "yesterday" },
      { schema: 1, event: "acquired", time: isoTime(0), file: {} },
      { schema: 1, event: "toString", time: isoTime(0) },
    ]
  ) assertEquals(reader.read(line), undefined, JSON.stringify(line));
});
