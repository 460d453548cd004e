import { assertEquals } from "@std/assert";
import { findTmpfilesRule, parseTmpfiles } from "../../lib/proc/tmpfiles.ts";

const TEXT = `# See tmpfiles.d(5)
q /tmp 1777 root root 10d
D! /run/app 0755 - - -
d /var/lock/keep 0755 root root -
x /tmp/systemd-private-*
X /tmp/exact
r! /tmp/.X[0-9]*-lock
e "/srv/with space" - - - 5m
`;

Deno.test("parseTmpfiles keeps type, path and age", () => {
  assertEquals(parseTmpfiles(TEXT), [
    { type: "q", path: "/tmp", age: "10d" },
    { type: "D", path: "/run/app", age: undefined },
    { type: "d", path: "/var/lock/keep", age: undefined },
    { type: "x", path: "/tmp/systemd-private-*", age: undefined },
    { type: "X", path: "/tmp/exact", age: undefined },
    { type: "r", path: "/tmp/.X[0-9]*-lock", age: undefined },
    { type: "e", path: "/srv/with space", age: "5m" },
  ]);
});

const FOUND: [string, string | undefined][] = [
  ["/tmp/a.lock", "/tmp"],
  ["/tmp/deep/a.lock", "/tmp"],
  ["/tmpfile", undefined],
  ["/run/app/a.lock", "/run/app"],
  ["/var/lock/keep/a.lock", undefined],
  ["/tmp/systemd-private-1/a.lock", undefined],
  ["/tmp/exact", undefined],
  ["/tmp/.X11-lock", "/tmp/.X[0-9]*-lock"],
  ["/srv/with space/a.lock", "/srv/with space"],
  ["/srv/a.lock", undefined],
];

for (const [path, rule] of FOUND) {
  Deno.test(`findTmpfilesRule: ${path} → ${rule}`, () => {
    assertEquals(findTmpfilesRule(parseTmpfiles(TEXT), path)?.path, rule);
  });
}

Deno.test("findTmpfilesRule: an unbalanced bracket matches nothing", () => {
  assertEquals(
    findTmpfilesRule(parseTmpfiles("r /tmp/[a\n"), "/tmp/[a"),
    undefined,
  );
});
