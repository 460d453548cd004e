import { assert, assertEquals, assertThrows } from "@std/assert";
import { acquire, tryAcquire } from "../../lib/acquire/acquire.ts";
import { acquireAll } from "../../lib/acquire/group.ts";
import {
  acquireBothLocks,
  acquireRecordLock,
} from "../../lib/acquire/record.ts";
import { readHolders } from "../../lib/inspect/holder.ts";
import { tryFlock } from "../../lib/lock/flock/flock.ts";
import type { HeldLock } from "../../lib/lock/held_lock.ts";
import { makeDirectories } from "../../lib/lock/lock_file.ts";
import { toLockPath, toPath } from "../../lib/lock/lock_path.ts";
import { tryRecordLock } from "../../lib/lock/record/record_lock_attempt.ts";
import { upgrade } from "../../lib/patterns/convert.ts";
import { getOrBuild } from "../../lib/patterns/cache.ts";
import { acquireIfDue } from "../../lib/patterns/debounce.ts";
import { acquireSlots, readSlots } from "../../lib/patterns/slots.ts";
import { acquireFair } from "../../lib/patterns/turnstile.ts";
import { changeDirectory } from "../../lib/sys/process/exec.ts";
import { absolutePath } from "../../lib/sys/path_parts.ts";
import { LockTimeoutError } from "../../lib/wait/lock_timeout_error.ts";
import { TempDir } from "../support/temp_dir.ts";
import { WorkingDirectory } from "../support/working_directory.ts";

/** Two directories, of which a test begins in the first. */
class TwoPlaces implements Disposable {
  readonly #root = new TempDir();
  readonly #before: WorkingDirectory;
  readonly here: string;
  readonly there: string;

  constructor() {
    this.here = this.#root.join("here");
    this.there = this.#root.join("there");
    Deno.mkdirSync(this.here);
    Deno.mkdirSync(this.there);
    this.#before = new WorkingDirectory(this.here);
  }

  /** Goes to the other one. */
  leave(): void {
    Deno.chdir(this.there);
  }

  /** Nothing may have been made where nobody asked for it. */
  get strays(): string[] {
    return [...Deno.readDirSync(this.there)].map(({ name }) => name);
  }

  [Symbol.dispose](): void {
    this.#before[Symbol.dispose]();
    this.#root[Symbol.dispose]();
  }
}

const WAITS: Readonly<
  Record<
    string,
    (path: string, options: { onWait?: () => void; timeoutMs?: number }) => //
    Promise<HeldLock>
  >
> = {
  acquire,
  acquireRecordLock,
  acquireBothLocks,
  acquireFair,
  acquireAll: (path, options) => acquireAll([path], options),
  "acquireAll of record locks": (path, options) =>
    acquireAll([{ path, kind: "ofd" }], options),
  "acquireAll with backoff": (path, options) =>
    acquireAll([path], { ...options, strategy: "try-all-backoff" }),
  acquireIfDue: async (path, options) =>
    (await acquireIfDue(path, { ...options, intervalMs: 0 }))!,
};

for (const [name, take] of Object.entries(WAITS)) {
  const other = name.includes("ecord") ? tryRecordLock : tryFlock;

  Deno.test(`${name} waits for the file that a relative path meant`, async () => {
    using places = new TwoPlaces();
    const busy = other(`${places.here}/rel`)!;
    const waiting = take("rel", {
      onWait: () => {
        places.leave();
        busy.release();
      },
    });
    using lock = await waiting;
    assertEquals(lock.path, "rel");
    assertEquals(other(`${places.here}/rel`), undefined);
    assertEquals(places.strays, []);
  });

  Deno.test(`${name} names who holds that file`, async () => {
    using places = new TwoPlaces();
    using _busy = other(`${places.here}/rel`)!;
    const error = await take("rel", {
      timeoutMs: 50,
      onWait: () => places.leave(),
    }).then(() => undefined, (error) => error);
    assert(error instanceof LockTimeoutError, String(error));
    assertEquals(error.path, "rel");
    assertEquals(error.holders.map(({ pid }) => pid), [Deno.pid]);
  });
}

Deno.test("a path given before the call returns is looked up in that directory", async () => {
  using places = new TwoPlaces();
  const locks = Object.values(WAITS).map((take, index) => take(`${index}`, {}));
  places.leave();
  for (const [index, waiting] of locks.entries()) {
    using _lock = await waiting;
    assert(Deno.statSync(`${places.here}/${index}`).isFile);
  }
  assertEquals(places.strays, []);
});

Deno.test("two files of one relative name have a queue each", async () => {
  using places = new TwoPlaces();
  using _busy = tryFlock("rel")!;
  const controller = new AbortController();
  const here = acquire("rel", { signal: controller.signal });
  places.leave();
  using busyThere = tryFlock("rel")!;
  const there = acquire("rel");
  busyThere.release();
  // It isn't behind the one that waits for the other file.
  (await there).release();
  const reason = new Error("enough");
  controller.abort(reason);
  assertEquals(await here.catch((error) => error), reason);
});

Deno.test("upgrade keeps a lock whose directory was left", async () => {
  using places = new TwoPlaces();
  using lock = tryAcquire("rel", { mode: "shared" })!;
  const other = tryFlock("rel", { mode: "shared" })!;
  places.leave();
  const upgraded = upgrade(lock);
  other.release();
  assertEquals(await upgraded, { uninterrupted: false });
  assert(lock.held);
  assertEquals(lock.absolutePath, `${places.here}/rel`);
});

Deno.test("slots and cache entries are of the directory that was named", async () => {
  using places = new TwoPlaces();
  const taken = acquireSlots("./slots", { slots: 2 });
  const built = getOrBuild("key", (path) => Deno.writeTextFileSync(path, "x"), {
    directory: "cache",
  });
  places.leave();
  using slots = await taken;
  using entry = await built;
  Deno.chdir(places.here);
  const read = readSlots("./slots");
  places.leave();
  assertEquals((await read).map(({ holders }) => holders.length), [1]);
  assertEquals([slots.path, entry.path], ["./slots", "cache/key"]);
  assertEquals(readHolders(`${places.here}/slots/slot.0`).length, 1);
  assertEquals(Deno.readTextFileSync(`${places.here}/cache/key`), "x");
  assertEquals(places.strays, []);
});

Deno.test("a working directory that can't be named from the root is kept open", () => {
  using places = new TwoPlaces();
  // Longer than PATH_MAX.
  for (let depth = 0; depth < 20; depth++) {
    const name = "d".repeat(250);
    Deno.mkdirSync(name);
    Deno.chdir(name);
  }
  Deno.writeTextFileSync("rel", "deep");
  const path = absolutePath("rel");
  const again = absolutePath("rel");
  places.leave();
  assertEquals(Deno.readTextFileSync(path), "deep");
  assertEquals(again, path);
});

Deno.test("a working directory whose name is not UTF-8 is found again", () => {
  using places = new TwoPlaces();
  const odd = `${places.here}/odd\udcff`;
  makeDirectories(odd);
  changeDirectory(odd);
  using lock = tryFlock("rel")!;
  places.leave();
  assertEquals(lock.absolutePath, `${odd}/rel`);
  assertEquals(tryFlock(`${odd}/rel`), undefined);
});

Deno.test("a path may be a file: URL", () => {
  using dir = new TempDir();
  const url = new URL(`file://${dir.path}/a%20b%25%ff`);
  using lock = tryAcquire(url)!;
  assertEquals(lock.path, `${dir.path}/a b%\udcff`);
  assertEquals(tryFlock(lock.path), undefined);
  assertEquals(toPath(new URL("file:///%C3%A9")), "/é");
  assertEquals(toPath(new URL("file://localhost/a")), "/a");
});

Deno.test("what is no path is a TypeError that names the argument", () => {
  const cases: [unknown, RegExp][] = [
    [undefined, /^lockFile must be a string or a URL, got undefined$/],
    [5, /^lockFile must be a string or a URL, got the number 5$/],
    [["a"], /^lockFile .* got a value of type Array$/],
    [
      new URL("https://example.org/a?b"),
      /file: URL .*"https:\/\/example.org\/a"/,
    ],
    [new URL("file://elsewhere/a"), /this host/],
  ];
  for (const [value, message] of cases) {
    const error = assertThrows(
      () => toLockPath(value as string, "lockFile"),
      TypeError,
    );
    assert(message.test(error.message), error.message);
  }
});
