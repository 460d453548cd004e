import { assertEquals, assertThrows } from "@std/assert";
import { UsageError } from "../../../cli/args/parse.ts";
import { parseSize } from "../../../cli/args/size.ts";

Deno.test("parseSize: what it takes", () => {
  const table: Record<string, bigint> = {
    "0": 0n,
    "4096": 4096n,
    "0x10": 16n,
    "10k": 10_240n,
    "10K": 10_240n,
    "10KiB": 10_240n,
    "10KB": 10_000n,
    "10kb": 10_000n,
    "1M": 1_048_576n,
    "1.5M": 1_572_864n,
    "1.5MB": 1_500_000n,
    "2G": 2_147_483_648n,
    "1T": 1_099_511_627_776n,
    "7E": 7n << 60n,
    "9223372036854775807": 2n ** 63n - 1n,
  };
  assertEquals(
    Object.fromEntries(
      Object.keys(table).map((text) => [text, parseSize(text)]),
    ),
    table,
  );
});

Deno.test("parseSize: what it refuses", () => {
  for (
    const text of [
      "",
      "-1",
      "+1",
      "1.5",
      "1B",
      "1iB",
      "K",
      "1Q",
      "1KBB",
      "1 K",
      "0x",
      "0x1.5K",
      "1e3",
      "8E",
      "9223372036854775808",
      "1Z",
    ]
  ) {
    const error = assertThrows(
      () => parseSize(text, "invalid as start offset"),
      UsageError,
    );
    assertEquals(error.message, `invalid as start offset: '${text}'`);
  }
});
