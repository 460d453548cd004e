import { assertEquals, assertThrows } from "@std/assert";
import { FlockFailure } from "../../../cli/commands/flock/failure.ts";
import {
  readInteger,
  readSeconds,
  readSize,
} from "../../../cli/commands/flock/numbers.ts";

/** What a reader says of each text: its value, or its message. */
function readAll(
  texts: string[],
  read: (text: string) => number | bigint,
): Record<string, number | bigint | string> {
  return Object.fromEntries(texts.map((text) => {
    try {
      return [text, read(text)];
    } catch (error) {
      if (!(error instanceof FlockFailure)) throw error;
      return [text, `${error.exitCode} ${error.message}`];
    }
  }));
}

Deno.test("readSize: bytes, units and quirks of util-linux", () => {
  // Each found by util-linux 2.43's own function.
  const table = {
    "0": 0n,
    "0x10": 16n,
    "0x1B": 27n,
    "010": 8n,
    "+5": 5n,
    " 5": 5n,
    "4K": 4096n,
    "1kib": 1024n,
    "1KB": 1000n,
    "1.K": 1024n,
    "1.0K": 1024n,
    "1.3K": 1365n,
    "1.25K": 1279n,
    "1.10K": 2048n,
    "1.005M": 1_053_818n,
    "0x1.5K": 1536n,
    "1.5MB": 1_500_000n,
    "0.5Z": 2n ** 59n,
    "7E": 7n << 60n,
  };
  assertEquals(
    readAll(Object.keys(table), (text) => readSize(text, "what")),
    table,
  );
});

Deno.test("readSize: what exceeds an offset turns negative, what exceeds 64 bits is refused", () => {
  const late = (text: string) =>
    `64 what: '${text}': Numerical result out of range`;
  const wrong = (text: string) => `64 what: '${text}': Invalid argument`;
  const table = {
    "8E": -(2n ** 63n),
    "15E": -(2n ** 60n),
    "9223372036854775808": -(2n ** 63n),
    "18446744073709551615": -1n,
    "16E": late("16E"),
    "1Z": late("1Z"),
    "18446744073709551616": late("18446744073709551616"),
    "0x10000000000000000": late("0x10000000000000000"),
    "1.99999999999999999999999K": late("1.99999999999999999999999K"),
    "": wrong(""),
    "-1": wrong("-1"),
    "1 ": wrong("1 "),
    "09": wrong("09"),
    "0x": wrong("0x"),
    "1.5": wrong("1.5"),
    "1.0": wrong("1.0"),
    ".5K": wrong(".5K"),
    "1B": wrong("1B"),
    "1KIB": wrong("1KIB"),
    "0x46077EiB": wrong("0x46077EiB"),
    "1Q": wrong("1Q"),
  };
  assertEquals(
    readAll(Object.keys(table), (text) => readSize(text, "what")),
    table,
  );
});

Deno.test("readSeconds: as strtod(3), and a timer that is too long can't be set up", () => {
  const wrong = (text: string) => `64 invalid timeout: '${text}'`;
  const late = "71 cannot set up timer: Invalid argument";
  const table = {
    "0": 0,
    "1.5": 1500,
    ".5": 500,
    " +2": 2000,
    "1e-3": 1,
    "0x10": 16_000,
    "0x1p3": 8000,
    "0x.8P1": 1000,
    "9223372036": 9_223_372_036_000,
    "9223372036854775808": late,
    "99999999999999999999": late,
    "1e30": late,
    "1e400": late,
    "": wrong(""),
    "-1": wrong("-1"),
    "1,5": wrong("1,5"),
    "0x": wrong("0x"),
    "1 ": wrong("1 "),
    nan: wrong("nan"),
    inf: wrong("inf"),
  };
  assertEquals(readAll(Object.keys(table), readSeconds), table);
  assertEquals(Math.abs(readSeconds("-0")), 0);
});

Deno.test("readInteger: decimal, within its range", () => {
  const table = {
    "0": 0,
    " +7": 7,
    "09": 9,
    "255": 255,
    "256": "64 code: '256': Numerical result out of range",
    "-1": "64 code: '-1': Numerical result out of range",
    "0x10": "64 code: '0x10'",
    "1.5": "64 code: '1.5'",
    "": "64 code: ''",
  };
  assertEquals(
    readAll(
      Object.keys(table),
      (text) => readInteger(text, [0, 255], "code"),
    ),
    table,
  );
  assertThrows(() => readInteger("x", [0, 1], "code"), FlockFailure);
});
