/** Every interleaving of takings, with kills between any two system calls. */
import { assert, assertEquals } from "@std/assert";
import { type Exploration, explore } from "./explore.ts";
import {
  canonicalFence,
  type FenceVariant,
  nextFenceSteps,
  startFenceState,
} from "./fence_counter.ts";

function check(variant: FenceVariant): Exploration {
  return explore(
    startFenceState(variant),
    (state) => nextFenceSteps(state, variant),
    canonicalFence,
  );
}

const TAKINGS = { processes: 3, takings: 6 } as const;

Deno.test("the counter in two files never goes back, whatever a rename is", () => {
  for (const brokenRename of [false, true]) {
    const found = check({ ...TAKINGS, files: 2, brokenRename });
    assertEquals(found.violation, undefined);
    assert(found.states > 5_000, `only ${found.states} states`);
  }
});

Deno.test("in one file it goes back when a rename is two calls", () => {
  const { violation } = check({ ...TAKINGS, files: 1, brokenRename: true });
  assertEquals(violation?.what, "the counter went back");
  assert(
    violation?.trace.some((step) => step.endsWith("is killed before rename")),
  );
});

Deno.test("in one file it never goes back when a rename is one", () => {
  const found = check({ ...TAKINGS, files: 1, brokenRename: false });
  assertEquals(found.violation, undefined);
});
