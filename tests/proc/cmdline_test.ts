import { assertEquals } from "@std/assert";
import { CMDLINE_UNAVAILABLE, formatCmdline } from "../../lib/proc/cmdline.ts";
import { captureBytes } from "./support.ts";

const CASES: [
  name: string,
  cmdline: Uint8Array | string,
  shown: string | undefined,
][] = [
  ["empty text", "", undefined],
  ["no bytes", new Uint8Array(), undefined],
  ["only NULs", "\0\0\0", undefined],
  ["arguments", "sleep\x0060\0", "sleep 60"],
  [
    "the flags of deno run",
    "/usr/bin/deno\0run\0-A\0--config=/x\0main.ts\0-v\0run\0",
    "/usr/bin/deno run … main.ts -v run",
  ],
  ["deno run without flags", "deno\0run\0main.ts\0", "deno run main.ts"],
  ["no deno", "undeno\0run\0-A\0x\0", "undeno run -A x"],
  ["an empty argument within", "a\0\0b\0\0", "a  b"],
  ["terminal escapes", "x\0\x1b]0;evil\x07\n\0", "x \\x1b]0;evil\\x07\\n"],
  ["bidirectional override", "a\u202eb", "a\\u{202e}b"],
  [
    "bytes that are no UTF-8",
    Uint8Array.of(0x61, 0xff, 0x00, 0xc3, 0xa9),
    "a\ufffd é",
  ],
  ["100 characters", "x".repeat(100) + "\0", "x".repeat(100)],
  ["101 characters", "x".repeat(101), "x".repeat(100) + "…"],
  ["100 emoji", "😀".repeat(100), "😀".repeat(100)],
  [
    "101 emoji in bytes",
    new TextEncoder().encode("😀".repeat(101)),
    "😀".repeat(100) + "…",
  ],
  [
    "an escape is not cut",
    "x".repeat(98) + "\x1b" + "y",
    "x".repeat(98) + "…",
  ],
  [
    "an escape that just fits",
    "x".repeat(96) + "\x1b",
    "x".repeat(96) + "\\x1b",
  ],
  [
    "megabytes",
    new Uint8Array(8 << 20).fill(0x78),
    "x".repeat(100) + "…",
  ],
  [
    "NULs after the cut",
    new TextEncoder().encode("x".repeat(100) + "\0".repeat(5000)),
    "x".repeat(100),
  ],
  [
    "captured",
    captureBytes("process/cmdline"),
    "/tmp/a) (b -c echo r; read x x y \\x1b[31m",
  ],
];

for (const [name, cmdline, shown] of CASES) {
  Deno.test(`formatCmdline: ${name}`, () => {
    assertEquals(formatCmdline(cmdline), shown);
  });
}

Deno.test("the words for a missing command line", () => {
  assertEquals(
    formatCmdline("\0") ?? CMDLINE_UNAVAILABLE,
    "<cmdline unavailable>",
  );
});
