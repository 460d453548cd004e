/**
 * Lines with bytes flipped, cut off and spliced: whatever the kernel, or a
 * torn reading, may ever hand over is understood or refused, never worse.
 *
 * Twenty thousand lines of each kind, times HOLDFAST_STRESS; 250 makes ten
 * millions in all.
 */
import { assert, assertEquals } from "@std/assert";
import { ProcParseError } from "../../lib/proc/error.ts";
import { parseMountinfo } from "../../lib/proc/mountinfo.ts";
import { parseProcLocks, type ProcLock } from "../../lib/proc/proc_locks.ts";
import { randomLock, renderLock } from "./render.ts";
import { captureBytes, countLines, Random } from "./support.ts";

const STRESS = Math.max(1, Number(Deno.env.get("HOLDFAST_STRESS") ?? 1));
const LINES = 20_000 * STRESS;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

function linesOf(...captures: string[]): Uint8Array[] {
  return captures.flatMap((path) =>
    decoder.decode(captureBytes(path)).split("\n")
      .filter((line) => line !== "").map((line) => encoder.encode(line))
  );
}

/** Mutated lines of some, until so many have been given. */
function* mutated(
  seed: number,
  pick: (random: Random) => Uint8Array,
): Generator<string> {
  const random = new Random(seed);
  for (let count = 0; count < LINES; count++) {
    yield decoder.decode(random.mutate(pick(random)));
  }
}

/** Parses a text; what isn't a record must be a `ProcParseError`. */
function parse<T>(
  text: string,
  parser: (text: string, options: { onError(error: unknown): void }) => T[],
): T[] {
  let errors = 0;
  const records = parser(text, {
    onError(error) {
      assert(error instanceof ProcParseError, String(error));
      errors++;
    },
  });
  assertEquals(records.length + errors, countLines(text), text);
  return records;
}

function checkLock(lock: ProcLock, text: string): void {
  const { id, depth, inode, startByte, endByte = 0n } = lock;
  const isSane = Number.isSafeInteger(id) && depth >= 0 && inode >= 0n &&
    startByte >= 0n && endByte >= 0n;
  assert(isSane, text);
  // What was understood is written and understood the same way again.
  assertEquals(parseProcLocks(`${renderLock(lock)}\n`), [lock], text);
}

Deno.test("/proc/locks: a mutated line is a lock or an error", () => {
  const captured = linesOf("locks_all/locks");
  const lines = mutated(
    11,
    (random) =>
      random.int(2) === 0
        ? random.pick(captured)
        : encoder.encode(renderLock(randomLock(random))),
  );
  let understood = 0;
  for (const text of lines) {
    for (const lock of parse(text, parseProcLocks)) {
      understood++;
      if (understood % 8 === 0) checkLock(lock, text);
    }
  }
  assert(understood > LINES / 20, `${understood} of ${LINES}`);
});

Deno.test("mountinfo: a mutated line is a mount or an error", () => {
  const captured = linesOf("mountinfo_namespace/mountinfo");
  const lines = mutated(12, (random) => random.pick(captured));
  let understood = 0;
  for (const text of lines) {
    for (const mount of parse(text, parseMountinfo)) {
      understood++;
      const { mountId, parentId, major, minor, mountPoint } = mount;
      assert(
        [mountId, parentId, major, minor].every((number) =>
          Number.isSafeInteger(number) && number >= 0
        ) && typeof mountPoint === "string",
        text,
      );
    }
  }
  assert(understood > LINES / 20, `${understood} of ${LINES}`);
});
