import { assertEquals, assertThrows } from "@std/assert";
import { formatDuration, parseDuration } from "../../../cli/args/duration.ts";
import { UsageError } from "../../../cli/args/parse.ts";

Deno.test("parseDuration: what it takes", () => {
  const table: Record<string, number> = {
    "0": 0,
    "30": 30_000,
    "1.5": 1500,
    "1.1": 1100,
    ".5": 500,
    "2.": 2000,
    "0.0001": 0.1,
    "500ms": 500,
    "30s": 30_000,
    "2m": 120_000,
    "1h": 3_600_000,
    "1d": 86_400_000,
    "1m30s": 90_000,
    "1d2h3m4s5ms": 93_784_005,
    "1.5h": 5_400_000,
    "007s": 7000,
  };
  assertEquals(
    Object.fromEntries(
      Object.keys(table).map((text) => [text, parseDuration(text)]),
    ),
    table,
  );
});

Deno.test("parseDuration: what it refuses", () => {
  for (
    const text of [
      "",
      " ",
      "-1",
      "+1",
      "-1s",
      "NaN",
      "Infinity",
      "inf",
      "1e3",
      "0x10",
      "1,5",
      ".",
      "s",
      "1.s.",
      "1..5",
      "1 s",
      "1s ",
      "1S",
      "5x",
      "30s1m",
      "1s1s",
      "1s5",
      "9".repeat(20),
      "9".repeat(400),
      "999999999999d",
    ]
  ) {
    const error = assertThrows(() => parseDuration(text), UsageError);
    assertEquals(error.message, `invalid timeout: '${text}'`);
  }
});

Deno.test("formatDuration: units and where they change", () => {
  const table: [number, string][] = [
    [0, "0 ms"],
    [0.001, "0.1 ms"],
    [0.35, "0.3 ms"],
    [0.96, "1 ms"],
    [350.4, "350 ms"],
    [999.4, "999 ms"],
    [999.6, "1.0 s"],
    [1234, "1.2 s"],
    [59_949, "59.9 s"],
    [59_960, "1 min 00 s"],
    [125_000, "2 min 05 s"],
    [3_599_400, "59 min 59 s"],
    [3_599_600, "1 h 00 min"],
    [11_220_000, "3 h 07 min"],
    [86_399_000, "1 d 00 h"],
    [183_600_000, "2 d 03 h"],
    [Infinity, "forever"],
  ];
  assertEquals(table.map(([ms]) => [ms, formatDuration(ms)]), table);
});
