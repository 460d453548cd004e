import { assert, assertEquals } from "@std/assert";
import { Distribution } from "../../../lib/trace/report/distribution.ts";

Deno.test("percentiles are at most 1.1 % off; the rest is exact", () => {
  const distribution = new Distribution();
  let total = 0;
  for (let ms = 1; ms <= 10_000; ms++) {
    distribution.add(ms / 100);
    total += ms / 100;
  }
  const summary = distribution.summary();
  assertEquals(summary.count, 10_000);
  assertEquals(summary.totalMs, total);
  assertEquals(summary.maxMs, 100);
  for (
    const [found, exact] of [
      [summary.p50Ms, 50],
      [summary.p95Ms, 95],
      [summary.p99Ms, 99],
    ] as const
  ) assert(Math.abs(found / exact - 1) < 0.011, `${found} for ${exact}`);
});

Deno.test("no durations, and those of no length, are zeros", () => {
  const zeros = { totalMs: 0, p50Ms: 0, p95Ms: 0, p99Ms: 0, maxMs: 0 };
  const distribution = new Distribution();
  assertEquals(distribution.summary(), { count: 0, ...zeros });
  distribution.add(0);
  assertEquals(distribution.summary(), { count: 1, ...zeros });
});

Deno.test("a percentile is never above the maximum", () => {
  const distribution = new Distribution();
  distribution.add(3.001);
  assert(distribution.summary().p99Ms <= 3.001);
});
