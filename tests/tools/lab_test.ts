/** The lab without its machines: what it makes of what it has found. */

import { assertEquals, assertMatch } from "@std/assert";
import { judgeFilesystem, type TrustTable } from "../../lib/fs/verdict.ts";
import type { Finding } from "../../tools/lab/agent.ts";
import type { Cells } from "../../tools/lab/cells.ts";
import { CONFIGURATIONS } from "../../tools/lab/configurations.ts";
import { judge, judgeTrust, onServer } from "../../tools/lab/judge.ts";
import {
  pageOf,
  PARTS,
  type Place,
  readResults,
  withPart,
} from "../../tools/lab/page.ts";
import type { Asked, Said, Words } from "../../tools/lab/words.ts";

const PAGE = new URL("../../docs/filesystems.md", import.meta.url);

/** A disk of this host, and what is said of it. */
const CELLS: Cells = {
  hostFlock: "excluded",
  hostFcntl: "excluded",
  mixed: "both",
  clientsFlock: "excluded",
  clientsFcntl: "excluded",
  link: "excluded",
};

function said(code: number, text = ""): Said {
  return { code, text };
}

function finding(
  cells: Partial<Cells>,
  words: Partial<Words> = {},
  asked: Partial<Asked> = {},
): Finding {
  const place: Place = { fsType: "ext4", mountOptions: [], superOptions: [] };
  const answer: Asked = {
    who: said(1),
    test: said(1),
    testAny: said(1),
    wait: said(75),
    ...asked,
  };
  return {
    name: "made up",
    cells: { ...CELLS, ...cells },
    words: {
      doctor: { place, trust: judgeFilesystem(place), command: null },
      run: said(0),
      runOfd: said(0),
      runBoth: said(0),
      asked: { flock: answer, ofd: answer },
      ...words,
    },
  };
}

Deno.test("words that are true of all cells are no fault", () => {
  assertEquals(judge(finding({})), []);
});

Deno.test("a lock that is taken without a word must exclude", () => {
  const [wrong] = judge(finding({ serverFlock: "both" }));
  assertMatch(wrong!, /^run takes a lock without a word, but it is: both/);
  assertEquals(
    judge(finding({ serverFlock: "both" }, { run: said(69) })),
    [],
  );
});

Deno.test("an exit code that is no answer is a fault", () => {
  const [wrong] = judge(finding({}, { run: said(70) }));
  assertMatch(wrong!, /^run ends with exit code 70/);
});

Deno.test("a lock that excludes must not be called free", () => {
  assertMatch(
    judge(finding({}, {}, { test: said(0) }))[0]!,
    /^test on the second client ends with exit code 0 for a flock/,
  );
  assertEquals(judge(finding({}, {}, { test: said(2), who: said(2) })), []);
});

Deno.test("a lock that excludes nobody must not be called in the way", () => {
  const both = { clientsFlock: "both", clientsFcntl: "both" };
  const free = { run: said(69), runOfd: said(69) };
  assertMatch(
    judge(finding(both, free, { wait: said(0), test: said(1) }))[0]!,
    /^test on the second client ends with exit code 1/,
  );
  const seen = { wait: said(0), test: said(0), testAny: said(2) };
  assertEquals(judge(finding(both, free, seen)), []);
});

Deno.test("who waits for a lock that excludes is told that it is busy", () => {
  assertMatch(
    judge(finding({}, {}, { wait: said(65, "no flock here\nmore") }))[0]!,
    /^run -w .* exit code 65 for a flock .*\(no flock here\)$/,
  );
});

Deno.test("both kinds are refused where they are one", () => {
  assertMatch(
    judge(finding({ mixed: "excluded" }))[0]!,
    /^run --kind both .* exit code 0/,
  );
  assertEquals(
    judge(finding({ mixed: "excluded" }, { runBoth: said(69) })),
    [],
  );
});

Deno.test("yes and no are held against the cells, and depends is not", () => {
  const entry = (trust: "yes" | "no" | "depends"): TrustTable => {
    const scopes = { clients: { trust, reason: "said so" } };
    return { flock: scopes, posix: {}, ofd: {}, link: {} };
  };
  const free = { ...CELLS, clientsFlock: "both" };
  assertEquals(judgeTrust("doctor", entry("yes"), CELLS), []);
  assertEquals(judgeTrust("doctor", entry("yes"), free).length, 1);
  assertEquals(judgeTrust("doctor", entry("no"), free), []);
  assertEquals(judgeTrust("doctor", entry("no"), CELLS).length, 1);
  assertEquals(judgeTrust("doctor", entry("depends"), CELLS), []);
  assertEquals(judgeTrust("doctor", entry("depends"), free), []);
});

Deno.test("every configuration has a name of its own", () => {
  const names = CONFIGURATIONS.map(({ name }) => name);
  assertEquals(names, [...new Set(names)]);
});

Deno.test("docs/filesystems.md is what the lab has found", () => {
  assertEquals(Deno.readTextFileSync(PAGE), pageOf(readResults()));
});

for (const { page, has } of PARTS) {
  Deno.test(`${page} carries what the lab has found`, () => {
    const url = new URL(`../../${page}`, import.meta.url);
    const text = Deno.readTextFileSync(url);
    assertMatch(text, /<!-- from the lab -->\n\n\| filesystem /);
    assertEquals(text, withPart(text, readResults(), has));
  });
}

for (const [name, result] of Object.entries(readResults())) {
  Deno.test(`what doctor says of ${name} is what was found there`, () => {
    const { cells, client, server } = result;
    assertEquals(
      judgeTrust("doctor", judgeFilesystem(client), cells),
      [],
    );
    if (server === undefined) return;
    const { exportedAs } = server;
    const trust = judgeFilesystem(server, { exportedBy: exportedAs });
    assertEquals(judgeTrust("doctor", trust, onServer(cells)), []);
  });
}
