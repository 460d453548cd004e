import { assertEquals, assertNotMatch } from "@std/assert";
import { printable, quotePath } from "../../lib/proc/printable.ts";
import { Random } from "./support.ts";

const CASES: [name: string, text: string, shown: string][] = [
  ["empty", "", ""],
  ["clean text and backslash stay", "/tmp/é 日 😀 \\n", "/tmp/é 日 😀 \\n"],
  ["common controls", "\b\t\n\v\f\r", "\\b\\t\\n\\v\\f\\r"],
  ["escape, NUL and DEL", "\0\x1b[31m\x7f", "\\x00\\x1b[31m\\x7f"],
  ["C1 controls", "\x80\x9b31m\x9f\xa0", "\\u{80}\\u{9b}31m\\u{9f}\xa0"],
  [
    "bidirectional overrides",
    "a\u202egpj.exe\u2066\u2069\u200e\u061c",
    "a\\u{202e}gpj.exe\\u{2066}\\u{2069}\\u{200e}\\u{61c}",
  ],
  ["separators", "a\u2028b\u2029", "a\\u{2028}b\\u{2029}"],
  ["lone surrogates", "\ud800x\udfff", "\\u{d800}x\\u{dfff}"],
  ["bytes of a path that are no UTF-8", "\udc80x\udcff", "\\x80x\\xff"],
  ["replacement character stays", "\ufffd", "\ufffd"],
];

for (const [name, text, shown] of CASES) {
  Deno.test(`printable: ${name}`, () => assertEquals(printable(text), shown));
}

Deno.test("quotePath escapes quotes and backslashes too", () => {
  assertEquals(quotePath('/a "b"\\c\n'), '"/a \\"b\\"\\\\c\\n"');
  assertEquals(quotePath(""), '""');
});

Deno.test("every UTF-16 unit alone is safe after printable", () => {
  for (let unit = 0; unit < 0x10000; unit++) {
    const shown = printable(String.fromCharCode(unit));
    assertNotMatch(
      shown,
      // deno-lint-ignore no-control-regex
      /[\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]|[\ud800-\udfff]/u,
    );
  }
});

Deno.test("quotePath can be undone, so no two paths look alike", () => {
  const random = new Random(1);
  for (let i = 0; i < 2000; i++) {
    const path = random.text(12);
    const back = quotePath(path).slice(1, -1).replace(
      /\\(?:x([0-9a-f]{2})|u\{([0-9a-f]+)\}|(.))/g,
      (_, byte, point, letter) =>
        letter === undefined
          ? String.fromCodePoint(
            parseInt(byte ?? point, 16) + (byte >= "80" ? 0xdc00 : 0),
          )
          : { b: "\b", t: "\t", n: "\n", v: "\v", f: "\f", r: "\r" }[
            letter as string
          ] ?? letter,
    );
    assertEquals(back, path);
  }
});

Deno.test("printable escapes what Unicode calls control, separator or bidi", () => {
  const unprintable = /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\p{Bidi_Control}]/u;
  for (let code = 0; code <= 0x10ffff; code++) {
    const character = String.fromCodePoint(code);
    assertEquals(
      printable(character) !== character,
      unprintable.test(character),
      `U+${code.toString(16)}`,
    );
  }
});
