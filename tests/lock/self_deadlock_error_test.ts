import { assert, assertEquals } from "@std/assert";
import { SelfDeadlockError } from "../../lib/lock/self_deadlock_error.ts";
import { LockError } from "../../lib/sys/error.ts";

Deno.test("SelfDeadlockError names the holder as this process or its ancestor", () => {
  const self = new SelfDeadlockError({
    path: "/a b",
    holderPid: 7,
    relation: "self",
  });
  assert(self instanceof LockError);
  assertEquals(self.name, "SelfDeadlockError");
  assertEquals(self.holderPid, 7);
  assertEquals(
    self.message,
    'Cannot lock "/a b": this process (pid=7) holds it and would wait for ' +
      "itself; release that lock first",
  );
  const ancestor = new SelfDeadlockError({
    path: "/x",
    holderPid: 8,
    relation: "ancestor",
    command: "holdfast run",
  });
  assertEquals(ancestor.relation, "ancestor");
  assertEquals(
    ancestor.message,
    'Cannot lock "/x": its holder is an ancestor of this process ' +
      "(pid=8 cmd=holdfast run) and waits for it, so the wait would never " +
      "end; don't take the lock again below the command that holds it",
  );
});
