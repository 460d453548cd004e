/** The files of libpq's users and the texts that sessions show of themselves. */
import { assert, assertEquals } from "@std/assert";
import {
  findPassword,
  findService,
} from "../../lib/cluster/postgres/libpq_files.ts";
import {
  formatLabel,
  lockKey,
  lockKeys,
  parseLabel,
} from "../../lib/cluster/postgres/lock_label.ts";
import { fatalMessage } from "../../lib/cluster/postgres/answers.ts";

const SERVER = { host: "db", port: 5432, database: "d", user: "u" };

Deno.test("the first line of a password file that fits is the password", () => {
  const cases: [text: string, password: string | undefined][] = [
    ["db:5432:d:u:pw", "pw"],
    ["*:*:*:*:pw", "pw"],
    ["# db:5432:d:u:no\n\ndb:5432:d:u:yes\r\ndb:*:*:*:no", "yes"],
    [
      "other:5432:d:u:no\ndb:5433:d:u:no\ndb:5432:e:u:no\ndb:5432:d:v:no",
      undefined,
    ],
    ["db:5432:d:u:a\\:b\\\\c", "a:b\\c"],
    ["db:5432:d:u:with spaces ", "with spaces "],
    ["db:5432:d:u:", ""],
    ["db:5432:d:u", undefined],
    ["\\*:5432:d:u:no", undefined],
    ["", undefined],
    [":::::", undefined],
    ["db:5432:d:u:pw\\", "pw\\"],
  ];
  for (const [text, password] of cases) {
    assertEquals(findPassword(text, SERVER), password, text);
  }
});

Deno.test("escapes in a password file are for names, too", () => {
  const server = { ...SERVER, host: "::1", user: "a\\b" };
  assertEquals(findPassword("\\:\\:1:5432:d:a\\\\b:pw", server), "pw");
});

Deno.test("a service is the section of its name", () => {
  const text = "[other]\nhost=no\n\n# [locks]\n[locks]\nhost=db\n" +
    "password=a=b # c\nhost=second\n[after]\nuser=no\n[locks]\nport=1\n";
  assertEquals(
    [...findService(text, "locks")!],
    [["host", "db"], ["password", "a=b # c"]],
  );
  assertEquals(findService(text, "lock"), undefined);
  assertEquals([...findService("[end]", "end")!], []);
});

Deno.test("a lock's key is the same for every program", async () => {
  // echo -n deploy | sha256sum
  assertEquals(await lockKey("deploy"), BigInt.asIntN(64, 0xb7bd55c11b781b0cn));
});

Deno.test("the keys of a name are no other name's", async () => {
  const { main, turn, slot } = await lockKeys("a");
  const keys = [main, turn, await slot(0), await slot(1), await lockKey("a 0")];
  assertEquals(new Set(keys).size, keys.length);
});

Deno.test("a label is printable ASCII of 63 bytes at most, and read again", () => {
  for (
    const name of [
      "deploy",
      "a b",
      "ä/ö\n",
      "%41",
      "x~",
      "'\"\\",
      "~",
      "\u202e",
    ]
  ) {
    const label = formatLabel(name, "web-1.example", 4711);
    assert(/^[!-~ ]{1,63}$/.test(label), label);
    assertEquals(parseLabel(label), { name, host: "web-1.example", pid: 4711 });
  }
});

Deno.test("what is too long for a label is cut, and known to be", () => {
  const host = "h".repeat(300);
  const label = formatLabel("n".repeat(300), host, 4194304);
  assertEquals(label.length, 63);
  assertEquals(parseLabel(label), {
    name: undefined,
    host: `${"h".repeat(23)}~`,
    pid: 4194304,
  });
});

Deno.test("labels of other programs are none", () => {
  for (
    const text of [
      "",
      "psql",
      "holdfast",
      "holdfast doctor",
      "holdfast a b:c",
      "holdfast a b c:1",
    ]
  ) {
    assertEquals(parseLabel(text), undefined, text);
  }
  assertEquals(parseLabel("holdfast %zz h:1"), {
    name: undefined,
    host: "h",
    pid: 1,
  });
});

Deno.test("a server's last words are those of a fatal message", () => {
  const message = (fields: string) =>
    new TextEncoder().encode(`E\0\0\0\0${fields}\0\0`);
  const fields = "SFATAL\0VFATAL\0C57P01\0Mthe end\0Fpostgres.c";
  assertEquals(fatalMessage(message(fields)), "the end");
  assertEquals(
    fatalMessage(message(fields.replaceAll("FATAL", "ERROR"))),
    undefined,
  );
  assertEquals(fatalMessage(message("")), undefined);
  assertEquals(fatalMessage(new Uint8Array()), undefined);
  assertEquals(
    fatalMessage(new TextEncoder().encode("Z\0\0\0\x05I")),
    undefined,
  );
});
