/**
 * One process of a stress test: takes locks as its arguments say, prints
 * "ready", and "done" when nothing went wrong.
 */
import { acquire } from "../../../lib/acquire/acquire.ts";
import { appendToFile } from "../../../lib/patterns/append.ts";
import { getOrBuild } from "../../../lib/patterns/cache.ts";
import { collectLockFiles } from "../../../lib/patterns/gc.ts";
import { acquireAll } from "../../../lib/acquire/group.ts";
import { acquireSlots } from "../../../lib/patterns/slots.ts";
import { transformFile } from "../../../lib/patterns/transform_file.ts";
import { acquireFair } from "../../../lib/patterns/turnstile.ts";
import { enter } from "./witness.ts";

const [work, ...rest] = Deno.args as [string, ...string[]];

function say(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

function randomBelow(count: number): number {
  return Math.floor(Math.random() * count);
}

/** Holds a lock long enough for others to come in between, if they can. */
function dwell(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function stdinLine(): Promise<void> {
  await Deno.stdin.read(new Uint8Array(64));
}

const WORKS: Record<string, (args: string[]) => Promise<void>> = {
  /** DIR FILES ROUNDS STRATEGY: random groups in random order and modes. */
  async groups([dir, files, rounds, strategy]) {
    say("ready");
    for (let round = 0; round < Number(rounds); round++) {
      const members = Array.from({ length: 1 + randomBelow(4) }, () => ({
        path: `${dir}/${randomBelow(Number(files))}.lock`,
        mode: Math.random() < 0.3 ? "shared" as const : "exclusive" as const,
      }));
      using _group = await acquireAll(members, {
        strategy: strategy as "ordered-wait" | "try-all-backoff",
        // Only a deadlock takes as long.
        timeoutMs: 60_000,
      });
      using stack = new DisposableStack();
      const exclusive = members.filter(({ mode }) => mode === "exclusive");
      for (const path of new Set(exclusive.map(({ path }) => path))) {
        stack.use(enter(path.replace(/lock$/, "inside")));
      }
      await dwell(randomBelow(3));
    }
  },

  /** DIR SLOTS WANT ROUNDS */
  async slots([dir, slots, want, rounds]) {
    say("ready");
    for (let round = 0; round < Number(rounds); round++) {
      using held = await acquireSlots(dir!, {
        slots: Number(slots),
        want: Number(want),
      });
      using stack = new DisposableStack();
      for (const slot of held.slots) {
        stack.use(enter(`${dir}/inside.${slot}`));
      }
      await dwell(randomBelow(3));
    }
  },

  /** DIR SLOTS WANT: holds slots until it is told to end, or killed. */
  async holdSlots([dir, slots, want]) {
    using held = await acquireSlots(dir!, {
      slots: Number(slots),
      want: Number(want),
    });
    using stack = new DisposableStack();
    for (const slot of held.slots) stack.use(enter(`${dir}/inside.${slot}`));
    say("ready");
    await stdinLine();
  },

  /** PATH MODE: waits for its turn, says so, holds until it is told to end. */
  async fair([path, mode]) {
    using _lock = await acquireFair(path!, {
      mode: mode as "shared" | "exclusive",
      onWait: () => say("waiting"),
    });
    say("held");
    await stdinLine();
  },

  /** DIR FILES ROUNDS: single locks, while somebody removes lock files. */
  async locks([dir, files, rounds]) {
    say("ready");
    for (let round = 0; round < Number(rounds); round++) {
      const path = `${dir}/${randomBelow(Number(files))}`;
      using _lock = await acquire(`${path}.lock`);
      using _inside = enter(`${path}.inside`);
      await dwell(randomBelow(2));
    }
  },

  /** DIR OUTSIDE: `DIR/sub` is a directory and a link to OUTSIDE in turn. */
  async swap([dir, outside]) {
    let ended = false;
    let swaps = 0;
    stdinLine().then(() => ended = true);
    say("ready");
    for (; !ended; swaps++) {
      Deno.mkdirSync(`${dir}/sub`);
      Deno.writeTextFileSync(`${dir}/sub/a.lock`, "");
      Deno.renameSync(`${dir}/sub`, `${dir}/moved`);
      Deno.symlinkSync(outside!, `${dir}/sub`);
      Deno.removeSync(`${dir}/sub`);
      Deno.removeSync(`${dir}/moved`, { recursive: true });
      await dwell(0);
    }
    say(String(swaps));
  },

  /** PATH ROUNDS: counts up in a file. */
  async count([path, rounds]) {
    for (let round = 0; round < Number(rounds); round++) {
      await transformFile(
        path!,
        (content) =>
          new TextEncoder().encode(
            String(Number(new TextDecoder().decode(content)) + 1),
          ),
        { create: true },
      );
    }
  },

  /** PATH ROUNDS: appends long lines. */
  async append([path, rounds]) {
    const line = `${Deno.pid} ${String(Deno.pid).repeat(1000)}\n`;
    for (let round = 0; round < Number(rounds); round++) {
      await appendToFile(path!, line);
    }
  },

  /** DIR KEYS: wants each entry, and notes in DIR/../built what it builds. */
  async cache([directory, keys]) {
    for (let index = 0; index < Number(keys); index++) {
      const key = `key${index}`;
      using entry = await getOrBuild(key, async (path) => {
        Deno.mkdirSync(path);
        await dwell(20);
        Deno.writeTextFileSync(`${path}/content`, key);
        await appendToFile(`${directory}/../built`, `${key}\n`);
      }, { directory: directory! });
      if (Deno.readTextFileSync(`${entry.path}/content`) !== key) {
        throw new Error(`${entry.path} is not whole`);
      }
    }
  },

  /** DIR: removes lock files until its stdin ends, then says how many. */
  async gc([dir]) {
    let ended = false;
    stdinLine().then(() => ended = true);
    say("ready");
    let removed = 0;
    while (!ended) {
      removed += collectLockFiles(dir!)
        .filter(({ outcome }) => outcome === "removed").length;
      await dwell(0);
    }
    say(String(removed));
  },
};

await WORKS[work]!(rest);
say("done");
