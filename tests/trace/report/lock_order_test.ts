import { assertEquals } from "@std/assert";
import type { LockActivity } from "../../../lib/trace/activity.ts";
import { LockOrder } from "../../../lib/trace/report/lock_order.ts";
import { activity, held } from "../support/activities.ts";

/** The rings found, as `pid: held → wanted` of each step. */
function rings(...activities: LockActivity[]): string[][] {
  const order = new LockOrder();
  activities.forEach((each) => order.add(each));
  return order.inversions().map(({ steps }) =>
    steps.map(({ process, held, wanted }) =>
      `${process.pid}: ${held.file.path} → ${wanted.file.path}`
    )
  );
}

/** Somebody who holds locks takes another. */
function takes(
  pid: number,
  name: string,
  alsoHeld: ReturnType<typeof held>[],
  more: Partial<LockActivity> = {},
): LockActivity {
  return activity(pid, "acquired", pid, name, { alsoHeld, ...more });
}

Deno.test("two locks taken in both orders are found, with who took them", () => {
  assertEquals(
    rings(takes(1, "B", [held("A")]), takes(2, "A", [held("B")])),
    [["1: A → B", "2: B → A"]],
  );
});

Deno.test("a ring of three is found", () => {
  assertEquals(
    rings(
      takes(1, "B", [held("A")]),
      takes(2, "C", [held("B")]),
      takes(3, "A", [held("C")]),
    ),
    [["1: A → B", "2: B → C", "3: C → A"]],
  );
});

Deno.test("one order is fine, however often", () => {
  assertEquals(
    rings(
      takes(1, "B", [held("A")]),
      takes(2, "B", [held("A")]),
      takes(2, "C", [held("A"), held("B")]),
    ),
    [],
  );
});

Deno.test("a process alone can't be stuck with itself", () => {
  assertEquals(
    rings(takes(1, "B", [held("A")]), takes(1, "A", [held("B")])),
    [],
  );
});

Deno.test("two processes of one program can", () => {
  const process = (pid: number) => ({ process: { pid, command: "same" } });
  assertEquals(
    rings(
      takes(1, "B", [held("A")], process(1)),
      takes(1, "A", [held("B")], process(1)),
      takes(2, "B", [held("A")], process(2)),
    ),
    [["2: A → B", "1: B → A"]],
  );
});

Deno.test("sharers are in nobody's way but a writer's", () => {
  const read = { mode: "READ" } as const;
  const sharing = [
    takes(1, "B", [held("A", read)], read),
    takes(2, "A", [held("B", read)], read),
  ];
  assertEquals(rings(...sharing), []);
  assertEquals(
    rings(...sharing, takes(3, "B", [held("A", read)])),
    [],
    "the reader of A isn't kept from it by the reader of A",
  );
  assertEquals(rings(...sharing, takes(3, "B", [held("A")])).length, 1);
});

Deno.test("who would not wait can't be stuck", () => {
  assertEquals(
    rings(
      takes(1, "B", [held("A")], { canWait: false }),
      takes(2, "A", [held("B")]),
    ),
    [],
  );
});

Deno.test("a lock that both hold keeps them apart", () => {
  assertEquals(
    rings(
      takes(1, "B", [held("G"), held("A")]),
      takes(2, "A", [held("G"), held("B")]),
    ),
    [],
  );
  const shared = held("G", { mode: "READ" });
  assertEquals(
    rings(
      takes(1, "B", [shared, held("A")]),
      takes(2, "A", [shared, held("B")]),
    ).length,
    1,
  );
});

Deno.test("an ancestor's lock doesn't keep its descendants apart", () => {
  const clash = (...gates: [one: number, other: number]) => {
    const [one, other] = gates.map((holderPid) => held("G", { holderPid }));
    return rings(
      takes(1, "B", [one!, held("A")]),
      takes(2, "A", [other!, held("B")]),
    ).length;
  };
  assertEquals(clash(9, 9), 1);
  assertEquals(clash(8, 9), 0, "two parents can't both hold it");
  assertEquals(clash(1, 2), 0);
});

Deno.test("ranges without a byte in common don't clash", () => {
  const range = (startByte: bigint) => ({
    type: "POSIX",
    startByte,
    endByte: startByte + 9n,
  });
  const clash = (start: bigint) =>
    rings(
      takes(1, "B", [held("A", range(0n))], range(0n)),
      takes(2, "A", [held("B", range(0n))], range(start)),
    );
  assertEquals(clash(10n), []);
  assertEquals(clash(9n).length, 1);
});

Deno.test("a wait that is still on counts, and its end not twice", () => {
  const waits = activity(2, "waiting", 2, "A", { alsoHeld: [held("B")] });
  assertEquals(rings(takes(1, "B", [held("A")]), waits).length, 1);
  const granted = takes(2, "A", [held("B")], { waitedMs: 5 });
  assertEquals(rings(takes(1, "B", [held("A")]), granted), []);
});
