/**
 * Every order in which renewals can be sent, delayed, lost and overtaken, with
 * a clock of the holder that falls behind: the command is dead before the
 * server gives its lock away.
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { leaseTimes } from "../../lib/cluster/lease_rule.ts";
import { type Exploration, explore } from "./explore.ts";
import {
  canonicalLease,
  leaseSteps,
  type LeaseVariant,
  startLease,
} from "./lease_rule.ts";

const TIMES = [
  { ttlMs: 6_000, marginMs: 3_000, graceMs: 1_000 },
  { ttlMs: 9_000, marginMs: 4_000, graceMs: 2_000 },
  { ttlMs: 15_000, marginMs: 6_000, graceMs: 4_000 },
];

function check(variant: LeaseVariant): Exploration {
  return explore(
    startLease(variant),
    (state) => leaseSteps(state, variant),
    (state) => canonicalLease(state, variant),
  );
}

for (const times of TIMES) {
  Deno.test(`a lease of ${times.ttlMs / 1000} s is never held by two, though the holder's clock loses a second`, () => {
    const found = check({ times: leaseTimes(times), lostSeconds: 1 });
    assertEquals(found.violation, undefined);
    assert(found.states > 500, `only ${found.states} states`);
  });
}

Deno.test("a holder whose clock loses more than the safety shares the lock", () => {
  const [times] = TIMES;
  const { violation } = check({ times: leaseTimes(times), lostSeconds: 3 });
  assertEquals(violation?.what, "two holders");
});

Deno.test("a lease counted from the answer is held by two", () => {
  const [times] = TIMES;
  const { violation } = check({
    times: leaseTimes(times),
    lostSeconds: 1,
    countFromAnswer: true,
  });
  assertEquals(violation?.what, "two holders");
});

Deno.test("times of a lease that leave no safety are refused", () => {
  for (
    const bad of [
      { ttlMs: 15_000, marginMs: 5_000, graceMs: 4_000 },
      { ttlMs: 15_000, marginMs: 1_000 },
      { ttlMs: 15_000, marginMs: 14_500 },
      { ttlMs: 1_000 },
      { ttlMs: NaN },
      { graceMs: -1 },
    ]
  ) {
    assertThrows(() => leaseTimes(bad), RangeError);
  }
  assertEquals(leaseTimes(), {
    ttlMs: 15_000,
    marginMs: 6_000,
    graceMs: 4_000,
  });
});

Deno.test("every TTL has a margin and a grace that hold the rule", () => {
  for (
    let ttlMs = 3_000;
    ttlMs <= 86_400_000;
    ttlMs = Math.ceil(ttlMs * 1.01)
  ) {
    const { marginMs, graceMs } = leaseTimes({ ttlMs });
    assert(marginMs > graceMs + 1_000 && graceMs >= 0, `${ttlMs}`);
    assert(ttlMs - marginMs >= 1_000, `${ttlMs}`);
  }
});
