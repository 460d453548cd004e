import { UsageError } from "./parse.ts";

/** The units, the greatest first, which is the order they are written in. */
const UNIT_MS: Readonly<Record<string, number>> = {
  d: 86_400_000,
  h: 3_600_000,
  m: 60_000,
  s: 1000,
  ms: 1,
};

const SECONDS = /^(?:\d+\.?\d*|\.\d+)$/;
const WITH_UNITS = /^(?:(?:\d+\.?\d*|\.\d+)(?:ms|[dhms]))+$/;

/**
 * Reads a time span: `500ms`, `30s`, `2m`, `1h`, `1d`, `1m30s`, or a plain
 * number of seconds, `1.5`.
 *
 * @param text What the user wrote.
 * @returns Milliseconds, not less than 0, with fractions.
 * @throws {UsageError} when it is none of these or beyond 285,000 years.
 */
export function parseDuration(text: string): number {
  const ms = SECONDS.test(text)
    ? Number(text) * 1000
    : WITH_UNITS.test(text)
    ? sumUnits(text)
    : NaN;
  if (!(ms <= Number.MAX_SAFE_INTEGER)) {
    throw new UsageError(`invalid timeout: '${text}'`, {
      hint: "Write seconds, or a number with a unit: 1.5, 500ms, 30s, 2m, " +
        "1h, 1d, 1m30s",
    });
  }
  // 1.1 * 1000 is 1100.0000000000002.
  return Number(ms.toPrecision(15));
}

/** The sum, or NaN when a greater unit follows a smaller one (`30s1m`). */
function sumUnits(text: string): number {
  let sum = 0;
  let lastUnitMs = Infinity;
  for (const [, number, unit] of text.matchAll(/([\d.]+)(ms|[dhms])/g)) {
    const unitMs = UNIT_MS[unit!]!;
    if (unitMs >= lastUnitMs) return NaN;
    lastUnitMs = unitMs;
    sum += Number(number) * unitMs;
  }
  return sum;
}

/**
 * Writes a time span for people: `350 ms`, `1.2 s`, `2 min 05 s`,
 * `3 h 07 min`, `2 d 03 h`.
 *
 * @param ms Milliseconds, not less than 0; `Infinity` is `forever`.
 */
export function formatDuration(ms: number): string {
  if (ms === Infinity) return "forever";
  if (ms > 0 && ms < 0.95) return `${Math.max(ms, 0.1).toFixed(1)} ms`;
  const wholeMs = Math.round(ms);
  if (wholeMs < 1000) return `${wholeMs} ms`;
  const tenths = Math.round(ms / 100);
  if (tenths < 600) return `${(tenths / 10).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return inTwo(seconds, 60, "min", "s");
  const minutes = Math.round(ms / 60_000);
  if (minutes < 1440) return inTwo(minutes, 60, "h", "min");
  return inTwo(Math.round(ms / 3_600_000), 24, "d", "h");
}

function inTwo(
  count: number,
  perGreater: number,
  greater: string,
  smaller: string,
): string {
  const rest = String(count % perGreater).padStart(2, "0");
  return `${Math.floor(count / perGreater)} ${greater} ${rest} ${smaller}`;
}
