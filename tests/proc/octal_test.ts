import { assertEquals } from "@std/assert";
import { decodeOctal } from "../../lib/proc/octal.ts";

const CASES: [name: string, text: string, decoded: string][] = [
  ["nothing to do", "/mnt/é", "/mnt/é"],
  ["what mountinfo escapes", "\\040\\011\\012\\134\\043", " \t\n\\#"],
  ["not decoded twice", "\\134040", "\\040"],
  ["bytes of UTF-8", "x\\303\\251\\360\\237\\230\\200", "xé😀"],
  ["a byte order mark stays", "\\357\\273\\277a", "\ufeffa"],
  ["broken UTF-8", "\\303x\\377", "\ufffdx\ufffd"],
  ["no escape", "\\", "\\"],
  ["too short, too large, not octal", "\\04 \\400 \\089", "\\04 \\400 \\089"],
  ["controls", "\\033[1m\\000", "\x1b[1m\0"],
];

for (const [name, text, decoded] of CASES) {
  Deno.test(`decodeOctal: ${name}`, () => {
    assertEquals(decodeOctal(text), decoded);
  });
}
