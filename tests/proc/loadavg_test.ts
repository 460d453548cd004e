import { assertEquals, assertThrows } from "@std/assert";
import { ProcParseError } from "../../lib/proc/error.ts";
import { parseLoadavg } from "../../lib/proc/loadavg.ts";
import { capture } from "./support.ts";

Deno.test("parseLoadavg: captured", () => {
  assertEquals(parseLoadavg(capture("loadavg/loadavg")), {
    one: 0.05,
    five: 0.02,
    fifteen: 0,
    running: 1,
    total: 103,
    lastPid: 10004,
  });
});

Deno.test("parseLoadavg: large values, no line end, CRLF", () => {
  const expected = {
    one: 1234.5,
    five: 99.99,
    fifteen: 0.01,
    running: 4096,
    total: 100000,
    lastPid: 4194303,
  };
  const text = "1234.50 99.99 0.01 4096/100000 4194303";
  assertEquals(parseLoadavg(text), expected);
  assertEquals(parseLoadavg(`${text}\r\n`), expected);
});

for (
  const text of [
    "",
    "\n",
    "0.05 0.02 0.00 1/103",
    "0.05 0.02 1/103 10004",
    "0.05 0.02 0.00 1-103 10004",
    "-0.05 0.02 0.00 1/103 10004",
    "nan 0.02 0.00 1/103 10004",
    "0.05 0.02 0.00 1/103 10004 7",
    `0.05 0.02 0.00 1/103 ${"9".repeat(400)}`,
  ]
) {
  Deno.test(`parseLoadavg refuses ${JSON.stringify(text.slice(0, 40))}`, () => {
    const error = assertThrows(() => parseLoadavg(text), ProcParseError);
    assertEquals(
      [error.source, error.line, error.text],
      ["/proc/loadavg", 1, text.split("\n")[0]],
    );
  });
}
