/**
 * Every order in which statements are delayed and lost, sessions ended and
 * servers restarted: the command is dead before the next holder starts.
 */
import { assert, assertEquals } from "@std/assert";
import { leaseTimes } from "../../lib/cluster/lease_rule.ts";
import { type Exploration, explore } from "./explore.ts";
import {
  canonicalSession,
  sessionSteps,
  type SessionVariant,
  startSession,
} from "./postgres_session.ts";

const SHORT = leaseTimes({ ttlMs: 6_000, marginMs: 3_000, graceMs: 1_000 });
const LONG = leaseTimes({ ttlMs: 9_000, marginMs: 4_000, graceMs: 2_000 });

function check(variant: SessionVariant): Exploration {
  return explore(
    startSession(variant),
    (state) => sessionSteps(state, variant),
    (state) => canonicalSession(state, variant),
  );
}

for (const times of [SHORT, LONG]) {
  Deno.test(`a session with a lease of ${times.ttlMs / 1000} s is never outlived by its command, though servers forget and the holder's clock loses a second`, () => {
    const found = check({ times, lostSeconds: 1 });
    assertEquals(found.violation, undefined);
    assertEquals(found.stuck, undefined);
    assert(found.states > 1000, `only ${found.states} states`);
  });
}

const MISTAKES: Record<string, Partial<SessionVariant>> = {
  "a server that has just started is taken at its word": {
    trustsNewServer: true,
  },
  "a crash that ends all sessions counts as no start": { overlooksCrash: true },
  "sessions end before their leases": { idleSeconds: 4 },
  "the holder's clock loses more than the safety": { lostSeconds: 3 },
};

for (const [mistake, variant] of Object.entries(MISTAKES)) {
  Deno.test(`a lock in a session is held by two where ${mistake}`, () => {
    const { violation } = check({ times: SHORT, lostSeconds: 1, ...variant });
    assertEquals(violation?.what, "two holders");
  });
}
