import { assertEquals } from "@std/assert";
import {
  allocatePage,
  walkRingPage,
} from "../../../lib/proc/trace/ring_page.ts";
import { PageWriter } from "./page_writer.ts";

const LAYOUT = { timestampOffset: 0, commitOffset: 8, dataOffset: 16 };

/** [first byte, bytes, time] of each event, and what the page says. */
function walk(
  { page, length }: ReturnType<PageWriter["finish"]>,
  baseNs = 0n,
) {
  const events: number[][] = [];
  const summary = walkRingPage(
    page,
    length,
    LAYOUT,
    baseNs,
    (offset, size, time) => {
      events.push([page.bytes[offset]!, size, time]);
    },
  );
  return { events, ...summary };
}

const bytes = (first: number, length: number) => {
  const data = new Uint8Array(length);
  data[0] = first;
  return data;
};

Deno.test("the times of a page's events add up", () => {
  const page = new PageWriter(1000n).small(0, bytes(1, 8)).small(
    5,
    bytes(2, 88),
  )
    .large(7, bytes(3, 200)).finish();
  assertEquals(walk(page), {
    events: [[1, 8, 1000], [2, 88, 1005], [3, 200, 1012]],
    lost: 0,
    complete: true,
  });
});

Deno.test("times are counted from the base, beyond what a double holds", () => {
  const base = 3n << 60n;
  const page = new PageWriter(base + 42n).small(1, bytes(1, 4)).finish();
  assertEquals(walk(page, base).events, [[1, 4, 43]]);
});

Deno.test("a long pause is a time extend of 59 bits", () => {
  const delta = 5 * 2 ** 27 + 3;
  const page = new PageWriter(10n).timeExtend(delta).small(2, bytes(1, 4))
    .finish();
  assertEquals(walk(page).events, [[1, 4, 10 + delta + 2]]);
});

Deno.test("an absolute time takes its upper bits from the page", () => {
  const high = 1n << 60n;
  const page = new PageWriter(high + 7n).timeStamp(high + 900n)
    .small(1, bytes(1, 4)).finish();
  assertEquals(walk(page, high).events, [[1, 4, 901]]);
});

Deno.test("an event taken back is skipped, and its time counts", () => {
  const page = new PageWriter(0n).small(1, bytes(1, 4)).discarded(10, 24)
    .small(1, bytes(2, 4)).finish();
  assertEquals(walk(page).events, [[1, 4, 1], [2, 4, 12]]);
});

Deno.test("padding without a time ends the page", () => {
  const page = new PageWriter(0n).small(1, bytes(1, 4)).padding()
    .small(1, bytes(2, 4)).finish();
  assertEquals(walk(page).events, [[1, 4, 1]]);
});

Deno.test("lost events are counted where the page tells how many", () => {
  const told = new PageWriter(0n).small(1, bytes(1, 4)).finish(12_345n);
  assertEquals(walk(told).lost, 12_345);
  const untold = new PageWriter(0n).small(1, bytes(1, 4)).finish("untold");
  assertEquals(walk(untold), {
    events: [[1, 4, 1]],
    lost: undefined,
    complete: true,
  });
});

Deno.test("a damaged page is read as far as it goes", () => {
  const torn = new PageWriter(0n).small(1, bytes(1, 4)).small(2, bytes(2, 88));
  const { page } = torn.finish();
  page.view.setUint32(8, 8 + 40, true);
  assertEquals(walk({ page, length: 4096 }), {
    events: [[1, 4, 1]],
    lost: 0,
    complete: false,
  });
  assertEquals(walk({ page, length: 20 }).complete, false);
  assertEquals(walk({ page: allocatePage(16), length: 8 }).events, []);
});

Deno.test("a large event whose length is nonsense ends the page", () => {
  for (const length of [0, 3, 0xffff_ffff]) {
    const writer = new PageWriter(0n).large(1, bytes(1, 8));
    const { page } = writer.finish();
    page.view.setUint32(20, length, true);
    assertEquals(walk({ page, length: 4096 }).events, []);
  }
});
