import { assertEquals } from "@std/assert";
import { SectionHistory } from "../support/section_history.ts";

function section(
  history: SectionHistory,
  client: number,
  fence: number,
  from: number,
  to: number,
): void {
  history.add(client, { at: from, event: "enter", fence: String(fence) });
  history.add(client, { at: to, event: "exit", fence: String(fence) });
}

Deno.test("the checker: sections one after the other are right", () => {
  const history = new SectionHistory();
  section(history, 0, 1, 0, 10);
  section(history, 1, 2, 10, 20);
  assertEquals(history.check(), {
    sections: 2,
    lost: 0,
    failed: 0,
    overlaps: [],
    overlapsOfStopped: 0,
    fenceErrors: [],
  });
});

Deno.test("the checker finds two at once, unless one had been stopped", () => {
  const history = new SectionHistory();
  section(history, 0, 1, 0, 10);
  section(history, 1, 2, 9, 20);
  assertEquals(history.check().overlaps, ["fences 1 and 2: 1.0 ms"]);
  history.paused({ client: 0, from: 5, to: 9.5 });
  const { overlaps, overlapsOfStopped } = history.check();
  assertEquals([overlaps, overlapsOfStopped], [[], 1]);
});

Deno.test("the checker: who knows that the lock is lost has left, and so has the dead", () => {
  const history = new SectionHistory();
  history.add(0, { at: 0, event: "enter", fence: "1" });
  history.add(0, { at: 5, event: "lost", fence: "1" });
  history.add(0, { at: 8, event: "exit", fence: "1" });
  history.add(1, { at: 6, event: "enter", fence: "2" });
  history.killed(1, 7);
  section(history, 2, 3, 7, 8);
  const found = history.check();
  assertEquals([found.overlaps, found.lost, found.sections], [[], 1, 3]);
});

Deno.test("the checker finds fences that repeat or fall", () => {
  const history = new SectionHistory();
  section(history, 0, 2, 0, 1);
  section(history, 1, 2, 1, 2);
  section(history, 0, 1, 2, 3);
  assertEquals(history.check().fenceErrors, [
    "2 twice",
    "2 after 2",
    "1 after 2",
  ]);
});
