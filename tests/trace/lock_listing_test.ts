import { assertEquals } from "@std/assert";
import { joinListings } from "../../lib/trace/lock_listing.ts";

const A = "FLOCK  ADVISORY  WRITE 1 08:01:100 0 EOF";
const B = "POSIX  ADVISORY  READ 2 08:01:200 0 9";
const C = "-> FLOCK  ADVISORY  WRITE 3 08:01:100 0 EOF";

Deno.test("what one reading of the locks lacks the other has", () => {
  assertEquals(
    joinListings(`1: ${A}\n2: ${B}\n`, `1: ${B}\n1: ${C}\n`),
    [`1: ${A}`, `2: ${B}`, "", `1: ${C}`].join("\n"),
  );
});

Deno.test("locks that look the same are as many as both readings have", () => {
  const count = (first: string[], second: string[]) => {
    const numbered = (lines: string[]) =>
      lines.map((line, at) => `${at + 1}: ${line}\n`).join("");
    return joinListings(numbered(first), numbered(second)).split("\n")
      .filter((line) => line.endsWith(B)).length;
  };
  assertEquals(count([B, B], [B]), 1);
  assertEquals(count([B], [A, B, B]), 1);
  assertEquals(count([B, A, B], [B, B]), 2);
  assertEquals(count([A], [C, B]), 1);
  assertEquals(count([A], [C]), 0);
});
