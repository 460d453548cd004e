import { assert, assertEquals } from "@std/assert";
import { ProcParseError } from "../../lib/proc/error.ts";

Deno.test("ProcParseError says where, what and the text made safe", () => {
  const text = "\x1b[2J" + "x".repeat(1000);
  const error = new ProcParseError("a lock", { source: "/p\n", line: 3, text });
  assert(error instanceof SyntaxError);
  assertEquals(error.name, "ProcParseError");
  assertEquals([error.source, error.line, error.text], ["/p\n", 3, text]);
  assertEquals(
    error.message,
    'Cannot parse "/p\\n", line 3: expected a lock in ' +
      `"\\x1b[2J${"x".repeat(156)}"…`,
  );
});
