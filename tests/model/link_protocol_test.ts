/**
 * Every interleaving of three processes on two hosts, with crashes at every
 * step: nobody shares the lock, and from everywhere it can be taken again.
 */
import { assert, assertEquals } from "@std/assert";
import { type Exploration, explore } from "./explore.ts";
import {
  canonical,
  nextSteps,
  startState,
  type Variant,
} from "./link_protocol.ts";

function check(variant: Variant): Exploration {
  return explore(
    startState(variant),
    (state) => nextSteps(state, variant),
    canonical,
  );
}

const HOSTS = [0, 0, 1] as const;

function assertSound(found: Exploration, leastStates: number): void {
  assertEquals(found.violation, undefined);
  assertEquals(found.stuck, undefined);
  assert(found.states >= leastStates, `only ${found.states} states`);
}

Deno.test("link locks: three processes on two hosts, up to five crashes", () => {
  assertSound(check({ hosts: HOSTS, failures: 5 }), 10_000);
});

Deno.test("link locks: three processes on one host, up to five crashes", () => {
  assertSound(check({ hosts: [0, 0, 0], failures: 5 }), 50_000);
});

Deno.test("link locks: leases run out and processes crash, twice in all", () => {
  assertSound(check({ hosts: HOSTS, failures: 2, lease: true }), 100_000);
});

Deno.test("the old scheme: two cleaners of one stale lock both hold it", () => {
  const { violation } = check({ hosts: HOSTS, failures: 1, scheme: "old" });
  assertEquals(violation?.what, "two owners");
  assertEquals(
    violation?.trace.filter((step) => step.endsWith("unlinkStale")).length,
    2,
  );
});

Deno.test("the old scheme: a crash before the data leaves a lock for ever", () => {
  // One process alone, so that the other bug can't come first.
  const { violation, stuck } = check({
    hosts: [0],
    failures: 1,
    scheme: "old",
  });
  assertEquals(violation, undefined);
  assertEquals(stuck, ["0 look", "0 link", "0 crashes before write"]);
});

Deno.test("without the second look another's lock is removed", () => {
  const { violation } = check({
    hosts: HOSTS,
    failures: 2,
    omitVerify: true,
  });
  assertEquals(violation?.what, "another's lock was removed");
});

Deno.test("with claims taken from the living another's lock is removed", () => {
  const { violation } = check({
    hosts: HOSTS,
    failures: 2,
    ignoreClaimLife: true,
  });
  assert(violation !== undefined);
});
