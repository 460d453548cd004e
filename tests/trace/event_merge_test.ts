import { assert, assertEquals } from "@std/assert";
import { EventMerge } from "../../lib/trace/event_merge.ts";

interface Event {
  timeNs: number;
  from: string;
}

/** A row that gives the pages of times that it is given. */
class Row {
  readonly pages: number[][] = [];
  asked = 0;
  readonly #name: string;

  constructor(name: string, ...pages: number[][]) {
    this.#name = name;
    this.pages.push(...pages);
  }

  readonly next = (): Event[] | undefined => {
    this.asked++;
    return this.pages.shift()?.map((timeNs) => ({ timeNs, from: this.#name }));
  };
}

function takeAll(merge: EventMerge<Event>, untilNs: number, most = 1000) {
  const taken: string[] = [];
  const round = merge.round(untilNs, most, ({ timeNs, from }) => {
    taken.push(`${from}${timeNs}`);
  });
  return { taken: taken.join(" "), ...round };
}

Deno.test("the rows of several CPUs become one, by time", () => {
  const rows = [
    new Row("a", [1, 4, 5], [9]),
    new Row("b", [2, 3], [], [6, 7]),
    new Row("c"),
  ];
  const merge = new EventMerge(rows.map(({ next }) => next));
  assertEquals(takeAll(merge, 100), {
    taken: "a1 b2 b3 a4 a5 b6 b7 a9",
    untilNs: 100,
    isBehind: false,
  });
});

Deno.test("what is later than the round waits for the next, with what comes then", () => {
  const [a, b] = [new Row("a", [1, 5, 8]), new Row("b", [6])];
  const merge = new EventMerge([a.next, b.next]);
  assertEquals(takeAll(merge, 5).taken, "a1 a5");
  b.pages.push([7, 9]);
  assertEquals(takeAll(merge, 8).taken, "b6 b7 a8");
  assertEquals(takeAll(merge, 8).taken, "");
  assertEquals(takeAll(merge, Infinity).taken, "b9");
});

Deno.test("a row that is written faster than it is read ends a round all the same", () => {
  let timeNs = 0;
  const endless = () =>
    [++timeNs, ++timeNs].map((n) => ({ timeNs: n, from: "e" }));
  const merge = new EventMerge([endless]);
  assertEquals(takeAll(merge, 5).taken, "e1 e2 e3 e4 e5");
  assertEquals(takeAll(merge, 6).taken, "e6");
});

Deno.test("a round that is too long is cut where all of an earlier time is taken", () => {
  const a = new Row("a", [1, 2, 3], [7, 8], [11, 12]);
  const b = new Row("b", [5], [6, 10]);
  const merge = new EventMerge([a.next, b.next]);
  const parts: string[] = [];
  let round = takeAll(merge, 9, 2);
  while (round.isBehind) {
    const last = Number(/\d+$/.exec(round.taken)![0]);
    assertEquals(round.untilNs, last);
    parts.push(round.taken);
    round = takeAll(merge, 9, 2);
  }
  parts.push(round.taken);
  assert(parts.length > 2, "it was cut");
  assertEquals(parts.join(" ").trim(), "a1 a2 a3 b5 b6 a7 a8");
  assertEquals(round.untilNs, 9);
  // Of a row that is far ahead no more is read than a page.
  assertEquals(b.asked, 2);
});
