import { assert, assertEquals } from "@std/assert";
import {
  formatLockIdentity,
  type LockIdentity,
  ownLockIdentity,
  parseLockIdentity,
} from "../../lib/cluster/identity.ts";

const IDENTITY: LockIdentity = {
  host: "db1",
  pid: 4711,
  user: "ci",
  command: "make deploy",
  since: new Date("2026-11-25T10:00:00.000Z"),
};

Deno.test("an identity comes back as it was written", () => {
  assertEquals(parseLockIdentity(formatLockIdentity(IDENTITY)), IDENTITY);
  const unknown = {
    host: null,
    pid: null,
    user: null,
    command: null,
    since: null,
  };
  assertEquals(parseLockIdentity(formatLockIdentity(unknown)), unknown);
});

Deno.test("this process says who it is, or what it is told to", () => {
  const own = ownLockIdentity();
  assertEquals([own.pid, own.host], [Deno.pid, Deno.hostname()]);
  assert(own.command !== null && own.since !== null);
  assertEquals(ownLockIdentity("release 7").command, "release 7");
});

Deno.test("what isn't such a record is none", () => {
  for (
    const text of [
      "",
      "x",
      "null",
      "[]",
      "1",
      "{}",
      '{"holdfast":2}',
      '{"holdfast":"1"}',
    ]
  ) {
    assertEquals(parseLockIdentity(text), undefined, text);
  }
});

Deno.test("a hostile record can't upset a terminal, nor fill it", () => {
  const found = parseLockIdentity(JSON.stringify({
    holdfast: 1,
    host: "\x1b[31m\n",
    pid: "4711",
    user: { toString: "x" },
    command: "x".repeat(100_000),
    since: "yesterday",
  }));
  assertEquals(found?.host, "\\x1b[31m\\n");
  assertEquals([found?.pid, found?.user, found?.since], [null, null, null]);
  assertEquals(found?.command?.length, 200);
});
