import { assert, assertEquals, assertThrows } from "@std/assert";
import { type ClusterUrl, parseClusterUrl } from "../../lib/cluster/url.ts";
import { isLockUrl } from "../../lib/lock/lock_path.ts";

const NOTHING = {
  endpoints: [],
  user: undefined,
  database: undefined,
  name: "",
};

const CASES: [string, ClusterUrl][] = [
  ["etcd://h/deploy", {
    ...NOTHING,
    kind: "etcd",
    scheme: "etcd",
    endpoints: [{ host: "h", port: 2379 }],
    name: "deploy",
    text: "etcd://h/deploy",
  }],
  ["etcds://ci@a:1,b,[::1]:2/team/a%20b%23", {
    ...NOTHING,
    kind: "etcd",
    scheme: "etcds",
    endpoints: [
      { host: "a", port: 1 },
      { host: "b", port: 2379 },
      { host: "::1", port: 2 },
    ],
    user: "ci",
    name: "team/a b#",
    text: "etcds://ci@a:1,b,[::1]:2/team/a%20b%23",
  }],
  ["etcd:///deploy", {
    ...NOTHING,
    kind: "etcd",
    scheme: "etcd",
    name: "deploy",
    text: "etcd:///deploy",
  }],
  ["etcd://h//rooted/", {
    ...NOTHING,
    kind: "etcd",
    scheme: "etcd",
    endpoints: [{ host: "h", port: 2379 }],
    name: "/rooted/",
    text: "etcd://h//rooted/",
  }],
  ["etcd://h", {
    ...NOTHING,
    kind: "etcd",
    scheme: "etcd",
    endpoints: [{ host: "h", port: 2379 }],
    text: "etcd://h/",
  }],
  ["etcd://h:2379/user@host:8080", {
    ...NOTHING,
    kind: "etcd",
    scheme: "etcd",
    endpoints: [{ host: "h", port: 2379 }],
    name: "user@host:8080",
    text: "etcd://h/user@host:8080",
  }],
  ["postgresql://u@h:5433/db#deploy/web", {
    ...NOTHING,
    kind: "postgres",
    scheme: "postgres",
    endpoints: [{ host: "h", port: 5433 }],
    user: "u",
    database: "db",
    name: "deploy/web",
    text: "postgres://u@h:5433/db#deploy/web",
  }],
  ["postgres:///#deploy", {
    ...NOTHING,
    kind: "postgres",
    scheme: "postgres",
    name: "deploy",
    text: "postgres:///#deploy",
  }],
];

for (const [text, expected] of CASES) {
  Deno.test(`the URL ${text}`, () => {
    const parsed = parseClusterUrl(text);
    assertEquals(parsed, expected);
    assertEquals(parseClusterUrl(parsed.text), expected);
    assert(isLockUrl(text));
  });
}

Deno.test("a URL with a password is refused and not repeated", () => {
  for (
    const text of [
      "postgres://u:hunter2@h/db#x",
      "postgres://u:hun/ter2@h/db#x",
      "postgres://u:hun@ter2@h/db#x",
      "etcd://u:hunter2@h/x",
      "etcd://:hunter2@h/x",
      "postgres://h/db?password=hunter2#x",
      "etcd://u:hun?ter2@h/x",
      "etcd://u:hun#ter2@h/x",
    ]
  ) {
    const { message } = assertThrows(() => parseClusterUrl(text), TypeError);
    assert(!/hun|ter2/.test(message), `${text}: ${message}`);
  }
});

Deno.test("URLs that say nothing sensible are refused", () => {
  for (
    const text of [
      "",
      "redis://h/x",
      "etcd:/h/x",
      "etcd://h:0/x",
      "etcd://h:99999/x",
      "etcd://h:x/x",
      "etcd://a,,b/x",
      "etcd://a b/x",
      "etcd://::1/x",
      "etcd://h/x#y",
      "etcd://h/%",
      "etcd://h/%00",
      "postgres://h/db/x",
      `etcd://h/${"x".repeat(2000)}`,
    ]
  ) {
    assertThrows(() => parseClusterUrl(text), TypeError, "Cannot use", text);
  }
});

Deno.test("files are no URLs", () => {
  for (const path of ["./etcd://h/x", "/etcd://h", "etcd", "etcd:x", "x"]) {
    assert(!isLockUrl(path), path);
  }
});
