import { assertEquals } from "@std/assert";
import { callLibc, callLibcOnce, cString } from "../../lib/sys/call.ts";
import { EBADF, ENOENT } from "../../lib/sys/errno.ts";
import { libc } from "../../lib/sys/libc.ts";

const failWithBadFd = () => libc.close(-1);
const failWithNoFile = () => libc.access(cString("/no/such/file"), 0);
const succeed = () => 7;

/** Makes one call after another. */
function inTurn(...calls: (() => number)[]): () => number {
  let made = 0;
  return () => calls[Math.min(made++, calls.length - 1)]!();
}

Deno.test("callLibc: a result, or minus the error number", () => {
  assertEquals(callLibc(succeed), 7);
  assertEquals(callLibc(() => 5n), 5);
  assertEquals(callLibc(failWithNoFile), -ENOENT);
  assertEquals(callLibcOnce(failWithBadFd), -EBADF);
});

Deno.test("callLibc believes an error number that comes twice in a row", () => {
  callLibc(failWithBadFd); // Makes errno readable.
  const clobbered = inTurn(failWithBadFd, failWithNoFile, failWithNoFile);
  assertEquals(callLibc(clobbered), -ENOENT);
  const passing = inTurn(failWithBadFd, succeed);
  assertEquals(callLibc(passing), 7);
});

Deno.test("cString: bytes ended by NUL, also of the same path again", () => {
  assertEquals([...cString("ä")], [0xc3, 0xa4, 0]);
  assertEquals(cString("b").at(0), 98);
  assertEquals([...cString("ä")], [0xc3, 0xa4, 0]);
});
