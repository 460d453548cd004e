/** Whose children the processes of a trace are, and when they are forgotten. */
import { assert, assertEquals } from "@std/assert";
import { ProcessBook } from "../../lib/trace/processes.ts";
import { NO_PID } from "./support/events.ts";

const forked = (threadId: number, childId: number, comm = "sh") => ({
  event: "fork" as const,
  timeNs: 0,
  threadId,
  childId,
  comm,
});

const exited = (threadId: number, timeNs: number) => ({
  event: "exit" as const,
  timeNs,
  threadId,
  comm: "sh",
  isLast: true,
});

const [SHELL, MIDDLE, CHILD] = [NO_PID + 1, NO_PID + 2, NO_PID + 3];

Deno.test("the child of any thread is a child of its process", () => {
  const threads = [...Deno.readDirSync("/proc/self/task")]
    .map(({ name }) => Number(name)).filter((id) => id !== Deno.pid);
  assert(threads.length > 0, "the runtime has threads");
  for (const thread of threads) {
    const book = new ProcessBook();
    // The thread was there before the trace.
    book.forked(forked(thread, CHILD));
    assertEquals(book.get(CHILD).ancestors.slice(0, 2), [thread, Deno.pid]);
  }
});

Deno.test("a process is of its line, however long ago those between have ended", () => {
  const book = new ProcessBook();
  book.forked(forked(SHELL, MIDDLE));
  book.forked(forked(MIDDLE, CHILD));
  book.exited(exited(MIDDLE, 0));
  book.sweep(1e12);
  assertEquals(book.get(CHILD).ancestors, [MIDDLE, SHELL]);
});

Deno.test("a process that has the number of one that ended is not forgotten with it", () => {
  const book = new ProcessBook();
  book.forked(forked(SHELL, CHILD, "old"));
  book.exited(exited(CHILD, 0));
  book.forked(forked(MIDDLE, CHILD, "new"));
  book.sweep(1e12);
  const { command, ancestors } = book.get(CHILD);
  assertEquals([command, ancestors], ["[new]", [MIDDLE]]);
});

Deno.test("who ended is known by name for a while, and then forgotten", () => {
  const book = new ProcessBook();
  book.forked(forked(SHELL, CHILD, "short"));
  book.exited(exited(CHILD, 0));
  book.sweep(0.5e9);
  assertEquals(book.get(CHILD).command, "[short]");
  book.sweep(2e9);
  assertEquals(book.find(CHILD), undefined);
});
