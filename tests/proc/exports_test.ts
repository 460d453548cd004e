import { assertEquals } from "@std/assert";
import { parseExports } from "../../lib/proc/exports.ts";

Deno.test("parseExports: every form of exports(5)", () => {
  assertEquals(
    parseExports(`# comment
/srv *(rw,sync)
"/srv/my data"\t10.0.0.0/8(rw,crossmnt) *.example.org(ro) # tail
/srv/oct\\040al -ro \\
  @group
/nobody

not-absolute *(rw)
`),
    [
      { directory: "/srv", clients: ["*(rw,sync)"] },
      {
        directory: "/srv/my data",
        clients: ["10.0.0.0/8(rw,crossmnt)", "*.example.org(ro)"],
      },
      { directory: "/srv/oct al", clients: ["-ro", "@group"] },
      { directory: "/nobody", clients: [] },
    ],
  );
});

Deno.test("parseExports: empty, blank and binary text", () => {
  assertEquals(parseExports(""), []);
  assertEquals(parseExports(" \n\t\n#\n"), []);
  assertEquals(parseExports('\0\x01\ufffd "unclosed\n'), []);
});
