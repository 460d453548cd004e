/** How the files of a trace are told from those that nobody asked for. */
import { assertEquals } from "@std/assert";
import { needleFromPath } from "../../lib/inspect/needle.ts";
import type { LockActivity } from "../../lib/trace/activity.ts";
import { LockTracker } from "../../lib/trace/tracker.ts";
import type { HelperProcess } from "../support/helper_process.ts";
import { runScript } from "../support/run_script.ts";
import { TempDir } from "../support/temp_dir.ts";
import { line, type LinePieces, NO_PID } from "./support/events.ts";

/** A tracker for the files below a directory, where each look-up takes long. */
class Slow {
  readonly activities: LockActivity[] = [];
  readonly tracker: LockTracker;
  #nowMs = 0;

  constructor(dir: TempDir) {
    this.tracker = new LockTracker({
      baseMs: 0,
      ownPid: NO_PID + 99,
      onActivity: (activity) => this.activities.push(activity),
      directories: [dir.path],
      wantsFile: ({ path }) => path?.startsWith(`${dir.path}/`) ?? false,
      now: () => this.#nowMs += 10_000,
    });
  }

  /** A lock event of a file. */
  feed(path: string, pieces: LinePieces): void {
    const { major, minor, inode } = needleFromPath(path)!;
    this.tracker.feed(line(1, {
      device: (major << 20 | minor) >>> 0,
      inodeLow: Number(inode & 0xffff_ffffn),
      inodeHigh: Number(inode >> 32n),
      ...pieces,
    }));
  }

  /** What was told since the last call, as event and name. */
  told(dir: TempDir): string[] {
    return this.activities.splice(0).map(({ event, file }) =>
      `${event} ${file.path?.slice(dir.path.length + 1)}`
    );
  }
}

function touch(...paths: string[]): void {
  for (const path of paths) Deno.writeTextFileSync(path, "");
}

Deno.test("a file in a directory that is asked for is told of, however busy the tracer", () => {
  using dir = new TempDir();
  using elsewhere = new TempDir();
  const names = ["a", "b", "c", "d"];
  const others = names.map((name) => elsewhere.join(name));
  touch(...names.map((name) => dir.join(name)), ...others);
  const slow = new Slow(dir);
  // Nobody has the files open any more.
  for (const path of others) slow.feed(path, { timeNs: 1 });
  for (const name of names) slow.feed(dir.join(name), { timeNs: 2 });
  assertEquals(slow.told(dir), names.map((name) => `acquired ${name}`));
  for (let n = 0; n < 8; n++) slow.tracker.endBatch(10 + n);
  assertEquals(slow.told(dir), []);
  // A name that comes later is found as well.
  touch(dir.join("new"));
  slow.feed(dir.join("new"), { timeNs: 3, owner: 7 });
  assertEquals(slow.told(dir), ["acquired new"]);
});

Deno.test("what happens to files whose names take long to find is told later, whole", async () => {
  using dir = new TempDir();
  const folder = dir.join("deep");
  Deno.mkdirSync(folder);
  using elsewhere = new TempDir();
  const names = ["a", "b", "c"];
  const inside = names.map((name) => `${folder}/${name}`);
  const outside = names.map((name) => elsewhere.join(name));
  touch(...inside, ...outside);
  // It has them open, so that they can be named by its descriptors.
  await using holder: HelperProcess = await runScript(
    'args.map(open); say("ready"); line();',
    ...inside,
    ...outside,
  );
  const who = { threadId: holder.pid, processId: holder.pid };
  const slow = new Slow(dir);
  [...outside, ...inside].forEach((path, owner) => {
    slow.feed(path, { timeNs: 1 + owner, owner, ...who });
    slow.feed(path, { timeNs: 11 + owner, owner, type: 2, ...who });
    slow.feed(path, { timeNs: 21 + owner, owner, ...who });
  });
  assertEquals(slow.told(dir), [], "one look is all that a batch has time for");
  const eachTold = ["acquired", "released", "acquired"];
  const expected = names.flatMap((name) =>
    eachTold.map((event) => `${event} deep/${name}`)
  );
  slow.tracker.settle();
  assertEquals(slow.told(dir), expected);
  // What isn't asked for is forgotten.
  outside.forEach((path, owner) => {
    slow.feed(path, { timeNs: 40, owner, type: 2, ...who });
  });
  assertEquals(slow.told(dir), []);
  assertEquals(
    [...slow.tracker.state.held()].map(({ file }) => file.path),
    inside,
  );
});
