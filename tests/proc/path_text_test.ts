import { assertEquals, assertThrows } from "@std/assert";
import { decodePath, encodePath, isWithin } from "../../lib/proc/path_text.ts";
import { Random } from "./support.ts";

const CASES: [name: string, bytes: number[], text: string][] = [
  ["nothing", [], ""],
  ["ASCII", [0x61, 0x2f, 0x62], "a/b"],
  ["a byte order mark", [0xef, 0xbb, 0xbf, 0x61], "\ufeffa"],
  ["the replacement character itself", [0xef, 0xbf, 0xbd], "\ufffd"],
  ["four bytes", [0xf0, 0x9f, 0x98, 0x80], "😀"],
  ["a byte that begins nothing", [0x61, 0xff, 0x62], "a\udcffb"],
  ["Latin-1", [0xe9, 0x74, 0xe9], "\udce9t\udce9"],
  ["cut off", [0xe2, 0x82], "\udce2\udc82"],
  ["cut off before a character", [0xe2, 0x82, 0xc3, 0xa9], "\udce2\udc82é"],
  ["too long for its value", [0xc0, 0xaf], "\udcc0\udcaf"],
  ["a surrogate in UTF-8", [0xed, 0xa0, 0x80], "\udced\udca0\udc80"],
  [
    "beyond Unicode",
    [0xf4, 0x90, 0x80, 0x80],
    "\udcf4\udc90\udc80\udc80",
  ],
];

for (const [name, bytes, text] of CASES) {
  Deno.test(`a path's bytes are kept: ${name}`, () => {
    assertEquals(decodePath(Uint8Array.from(bytes)), text);
    assertEquals([...encodePath(text)], bytes);
  });
}

Deno.test("any bytes become text and the same bytes again", () => {
  const random = new Random(7);
  for (let i = 0; i < 20_000; i++) {
    const bytes = Array.from(
      { length: random.int(12) },
      () => random.int(256),
    );
    const text = decodePath(Uint8Array.from(bytes));
    assertEquals([...encodePath(text)], bytes);
  }
});

Deno.test("a surrogate that stands for no byte is no path", () => {
  for (const text of ["\ud800", "a\udc7f", "\udd00b"]) {
    assertThrows(() => encodePath(text), TypeError, "surrogate");
  }
});

Deno.test("isWithin goes by whole components", () => {
  const within = (path: string) =>
    ["/", "/srv", "/srv/", "/srv/a"].filter((directory) =>
      isWithin(path, directory)
    );
  assertEquals(within("/"), ["/"]);
  assertEquals(within("/srv"), ["/", "/srv", "/srv/"]);
  assertEquals(within("/srv/a"), ["/", "/srv", "/srv/", "/srv/a"]);
  assertEquals(within("/srv/ab"), ["/", "/srv", "/srv/"]);
  assertEquals(within("/srvx"), ["/"]);
});
