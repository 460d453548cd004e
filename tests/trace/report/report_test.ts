import { assert, assertEquals } from "@std/assert";
import type { LockActivity } from "../../../lib/trace/activity.ts";
import { reportJson } from "../../../lib/trace/report/json.ts";
import {
  ReportBuilder,
  type ReportOptions,
} from "../../../lib/trace/report/report.ts";
import { Timeline } from "../../../lib/trace/report/timeline.ts";
import { activity } from "../support/activities.ts";

function build(
  activities: LockActivity[],
  options?: ReportOptions,
): ReportBuilder {
  const builder = new ReportBuilder(options);
  activities.forEach((each) => builder.add(each));
  return builder;
}

const holder = (pid: number, heldMs?: number) => ({
  process: { pid, command: `program ${pid}` },
  heldMs,
});

/** One holds for 100 ms; two wait behind it, one gives up. */
const SCENE: LockActivity[] = [
  activity(1000, "acquired", 1, "/lock"),
  activity(1010, "waiting", 2, "/lock", { holders: [holder(1)] }),
  activity(1020, "waiting", 3, "/lock", { holders: [holder(1)] }),
  activity(1030, "refused", 4, "/lock", { reason: "EAGAIN" }),
  activity(1060, "gave-up", 3, "/lock", { waitedMs: 40 }),
  activity(1100, "released", 1, "/lock", { heldMs: 100 }),
  activity(1100, "acquired", 2, "/lock", { waitedMs: 90 }),
  activity(1150, "released", 2, "/lock", { heldMs: 50 }),
  activity(1160, "acquired", 1, "/other"),
];

Deno.test("a report counts takings, waits, refusals and who gave up", () => {
  const { locks, activities } = build(SCENE).finish();
  assertEquals(activities, 9);
  assertEquals(locks.map(({ file }) => file.path), ["/lock", "/other"]);
  const [lock, other] = locks;
  assertEquals(
    [lock!.taken, lock!.refused, lock!.gaveUp, lock!.mostWaiters],
    [2, 1, 1, 2],
  );
  assertEquals([lock!.waits.count, lock!.waits.totalMs], [2, 130]);
  assertEquals([lock!.holds.count, lock!.holds.maxMs], [2, 100]);
  assertEquals(lock!.longestHold, {
    process: { pid: 1, command: "program 1" },
    ms: 100,
    atMs: 1100,
  });
  assertEquals(lock!.longestWait?.process.pid, 2);
  assertEquals([lock!.heldNow, other!.heldNow], [0, 1]);
});

Deno.test("a wait is blamed on whoever held the lock meanwhile", () => {
  const [lock] = build(SCENE).finish().locks;
  const [first, ...others] = lock!.users;
  // 1010 to 1100 for one, 1020 to 1060 for the other.
  assertEquals([first!.pid, first!.blockedMs], [1, 130]);
  assertEquals(others.every(({ blockedMs }) => blockedMs === 0), true);
});

Deno.test("a wait that goes on is blamed up to the end", () => {
  const builder = build(SCENE.slice(0, 2));
  builder.passed(1500);
  const [lock] = builder.finish().locks;
  assertEquals(
    [lock!.heldNow, lock!.waitingNow, lock!.longestWaitNowMs],
    [1, 1, 490],
  );
  assertEquals(lock!.users[0]?.blockedMs, 490);
});

Deno.test("a stretch in which somebody always waits is a convoy", () => {
  const scene = [activity(0, "acquired", 1, "/lock")];
  for (let pid = 2; pid <= 6; pid++) {
    scene.push(
      activity(pid, "waiting", pid, "/lock", { holders: [holder(1)] }),
    );
  }
  for (let pid = 2; pid <= 6; pid++) {
    const now = 10 * pid;
    scene.push(activity(now, "released", pid - 1, "/lock", { heldMs: 10 }));
    scene.push(
      activity(now, "acquired", pid, "/lock", { waitedMs: now - pid }),
    );
  }
  const [lock] = build(scene).finish().locks;
  assertEquals(lock!.convoys, [{
    startMs: 2,
    durationMs: 58,
    turns: 5,
    mostWaiters: 5,
    startedBy: { pid: 1, command: "program 1" },
  }]);
  // Two who meet now and then are none.
  assertEquals(build(SCENE).finish().locks[0]!.convoys, []);
});

Deno.test("what is older than asked for is left out", () => {
  const report = build(SCENE, { fromMs: 1155 }).finish();
  assertEquals(report.activities, 1);
  assertEquals(report.locks.map(({ file }) => file.path), ["/other"]);
});

Deno.test("the JSON of a report can be read back and has no processes in it", () => {
  const builder = build(SCENE);
  builder.lost(7);
  const document = JSON.parse(reportJson(builder.finish()));
  assertEquals(document.schema, 1);
  assertEquals(document.lost, 7);
  assertEquals(document.from, "1970-01-01T00:00:01.000000Z");
  assertEquals(document.locks[0].file, {
    path: "/lock",
    pathStatus: "here",
    device: "8:1",
    inode: document.locks[0].file.inode,
  });
  assertEquals(document.locks[0].longestHold.process, {
    pid: 1,
    command: "program 1",
  });
});

Deno.test("a timeline has a bar for each hold and wait, in the report's order", () => {
  const builder = build(
    [activity(900, "acquired", 9, "/quiet"), ...SCENE],
    { timeline: true },
  );
  const report = builder.finish();
  const { bars, dropped } = builder.timeline(report);
  assertEquals(dropped, 0);
  const name = (lane: number) => report.locks[lane]!.file.path;
  assertEquals(
    bars.map(({ lane, kind, startMs, endMs, process }) =>
      `${name(lane)} ${kind} ${process.pid} ${startMs}-${endMs}`
    ),
    [
      "/quiet hold 9 900-1160",
      "/lock hold 1 1000-1100",
      "/lock wait 2 1010-1100",
      "/lock vain 3 1020-1060",
      "/lock hold 2 1100-1150",
      "/other hold 1 1160-1160",
    ],
  );
  assertEquals(bars[2]!.blockers.map(({ pid }) => pid), [1]);
});

Deno.test("a timeline with too many bars keeps the long ones and counts the rest", () => {
  const timeline = new Timeline(100);
  for (let n = 0; n < 1000; n++) {
    const heldMs = n % 10 === 0 ? 50 : 1;
    timeline.add(0, activity(n * 100, "acquired", 1, "/lock"));
    timeline.add(
      0,
      activity(n * 100 + heldMs, "released", 1, "/lock", { heldMs }),
    );
  }
  const bars = timeline.bars(100_000);
  assert(bars.length <= 100, `${bars.length}`);
  assertEquals(bars.length + timeline.dropped, 1000);
  assert(bars.filter(({ startMs, endMs }) => endMs - startMs > 40).length > 40);
});
