/** A lease kept alive, with a clock that tests move. */
import { assert, assertEquals } from "@std/assert";
import type { ClusterLockEvent } from "../../lib/cluster/engine.ts";
import { LeaseLostError } from "../../lib/cluster/errors.ts";
import { jumpingClock } from "../../lib/cluster/lease_clock.ts";
import { LeaseKeeper, type Renewal } from "../../lib/cluster/lease_keeper.ts";
import { leaseTimes } from "../../lib/cluster/lease_rule.ts";
import { ManualClock } from "../support/manual_clock.ts";

interface Kept {
  clock: ManualClock;
  keeper: LeaseKeeper;
  events: ClusterLockEvent[];
  /** What the next attempts give; the last is repeated. */
  answers: (Renewal | Error | "never")[];
  attempts: number;
  /** Lets time pass in small steps, as timers would see it. */
  pass(ms: number): Promise<void>;
}

function keep(...answers: Kept["answers"]): Kept {
  const clock = new ManualClock();
  const kept: Kept = {
    clock,
    events: [],
    answers,
    attempts: 0,
    keeper: new LeaseKeeper({
      path: "etcd://h/x",
      times: leaseTimes({ ttlMs: 15_000 }),
      sentAt: 0,
      clock,
      onEvent: (event) => kept.events.push(event),
      renew: (signal) => {
        kept.attempts++;
        const answer = answers.length > 1 ? answers.shift()! : answers[0]!;
        if (answer === "never") {
          return new Promise((_, reject) =>
            signal.addEventListener("abort", () => reject(signal.reason))
          );
        }
        return answer instanceof Error
          ? Promise.reject(answer)
          : Promise.resolve(answer);
      },
    }),
    async pass(ms) {
      for (let left = ms; left > 0; left -= 100) await clock.advance(100);
    },
  };
  return kept;
}

Deno.test("a lease is renewed three times before its holder would have to stop", async () => {
  const kept = keep("renewed");
  await kept.pass(60_000);
  assert(kept.keeper.held);
  assertEquals(kept.attempts, 20);
  assertEquals(kept.events.at(-1), {
    type: "renewed",
    moments: {
      renewAt: 63_000,
      termAt: 69_000,
      killAt: 73_000,
      endsAt: 75_000,
    },
  });
  await kept.keeper.end();
  assertEquals(kept.clock.sleeping, 0);
});

Deno.test("attempts that fail are repeated, and the lock is lost when none succeeds in time", async () => {
  const kept = keep("renewed", new Error("refused"));
  await kept.pass(11_900);
  assert(kept.keeper.held);
  assert(kept.attempts > 10 && kept.attempts < 50, `${kept.attempts}`);
  await kept.pass(200);
  assertEquals(kept.keeper.held, false);
  const { reason } = kept.keeper.lost;
  assert(reason instanceof LeaseLostError);
  assertEquals(reason.graceMs, 4000);
  assertEquals(
    reason.message,
    'Lost the lock "etcd://h/x": its lease of 15 s has not been renewed for ' +
      "9 s (refused)",
  );
  assertEquals(kept.events.map(({ type }) => type), ["renewed", "lost"]);
  await kept.keeper.end();
});

Deno.test("an attempt without an answer is given up, and does not delay the loss", async () => {
  const kept = keep("never");
  await kept.pass(8_900);
  assert(kept.keeper.held && kept.attempts > 2);
  await kept.pass(200);
  assert(kept.keeper.lost.aborted);
  await kept.keeper.end();
  assertEquals(kept.clock.sleeping, 0);
});

Deno.test("after the loss the lease is renewed on for a command that is yet to die", async () => {
  const kept = keep(
    ...Array.from({ length: 40 }, () => new Error("refused")),
    "renewed",
  );
  await kept.pass(20_000);
  assert(kept.keeper.lost.aborted);
  const { attempts } = kept;
  await kept.pass(10_000);
  assert(kept.attempts > attempts && kept.attempts < attempts + 10);
  assertEquals(kept.events.map(({ type }) => type), ["lost"]);
  await kept.keeper.end();
});

Deno.test("a lease that the engine has ended is lost at once", async () => {
  const kept = keep("gone");
  await kept.pass(3_100);
  assert(kept.keeper.lost.aborted && kept.keeper.isGone);
  const { attempts } = kept;
  await kept.pass(10_000);
  assertEquals(kept.attempts, attempts);
  await kept.keeper.end();
});

Deno.test("a process that was frozen finds its lock lost before any timer fires", () => {
  const kept = keep("never");
  // Time jumps, and nothing of the keeper has run yet.
  void kept.clock.advance(10_000);
  assertEquals(kept.keeper.held, false);
  assert(kept.keeper.lost.aborted);
  return kept.keeper.end();
});

Deno.test("an ended lease is neither lost nor renewed", async () => {
  const kept = keep("renewed");
  await kept.keeper.end();
  await kept.pass(60_000);
  assertEquals([kept.attempts, kept.keeper.lost.aborted], [0, false]);
  kept.keeper.lose("too late");
  assertEquals(kept.keeper.lost.aborted, false);
});

Deno.test("the clock of leases counts time in suspend, and never goes back", () => {
  let monotonic = 100;
  let wall = 50_000;
  const clock = jumpingClock(() => monotonic, () => wall);
  assertEquals(clock(), 100);
  monotonic += 10;
  wall += 10;
  assertEquals(clock(), 110);
  // Suspended for an hour.
  wall += 3_600_000;
  assertEquals(clock(), 3_600_110);
  // Set back by a day.
  wall -= 86_400_000;
  monotonic += 10;
  assertEquals(clock(), 3_600_120);
});
