import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { SyscallError } from "../../../lib/sys/error.ts";
import {
  prepareCommand,
  waitForChange,
} from "../../../lib/sys/process/exec.ts";
import { libc } from "../../../lib/sys/libc.ts";
import { sendSignal } from "../../../lib/sys/process/signals.ts";
import { openDescriptors } from "../../support/open_descriptors.ts";

Deno.test("prepareCommand and waitForChange: exit codes and signals", async () => {
  const before = openDescriptors();
  const ended = async (script: string) =>
    await waitForChange(spawnCommand(["sh", "-c", script]));
  assertEquals(await ended("exit 0"), { state: "exited", code: 0 });
  assertEquals(await ended("exit 255"), { state: "exited", code: 255 });
  assertEquals(await ended("kill -9 $$"), { state: "killed", signal: 9 });
  assertEquals(await ended("kill -TERM $$"), { state: "killed", signal: 15 });
  assertEquals(openDescriptors(), before);
});

function spawnCommand(command: readonly string[]): number {
  return prepareCommand(command)();
}

Deno.test("waitForChange tells of a stop and of what follows", async () => {
  const pid = spawnCommand(["sh", "-c", "kill -STOP $$; exit 3"]);
  assertEquals(await waitForChange(pid), { state: "stopped" });
  sendSignal(pid, "SIGCONT");
  let change = await waitForChange(pid);
  // The end may have replaced it already.
  if (change.state === "continued") change = await waitForChange(pid);
  assertEquals(change, { state: "exited", code: 3 });
});

Deno.test("waitForChange doesn't wait for ever for a child that somebody else has waited for", async () => {
  const pid = spawnCommand(["true"]);
  assertEquals(libc.waitpid(pid, new Int32Array(1), 0), pid);
  const error = await assertRejects(() => waitForChange(pid), SyscallError);
  assertEquals([error.syscall, error.code], ["waitpid", "ECHILD"]);
});

Deno.test("waitForChange reaps other children too when it is to", async () => {
  const other = spawnCommand(["true"]);
  const untilGone =
    "for _ in $(seq 1000); do [ -e /proc/$0 ] || exit 2; sleep 0.01; done";
  const pid = spawnCommand(["sh", "-c", untilGone, String(other)]);
  assertEquals(await waitForChange(pid, { reapOrphans: true }), {
    state: "exited",
    code: 2,
  });
});

Deno.test("prepareCommand: many at once, each its own", async () => {
  const codes = Array.from({ length: 20 }, (_, index) => index);
  const pids = codes.map((code) => spawnCommand(["sh", "-c", `exit ${code}`]));
  const changes = await Promise.all(pids.map((pid) => waitForChange(pid)));
  assertEquals(changes, codes.map((code) => ({ state: "exited", code })));
});

Deno.test("prepareCommand: what can't be executed", () => {
  const error = assertThrows(
    () => spawnCommand(["/no/such/program"]),
    SyscallError,
    'Cannot execute "/no/such/program": execve returned ENOENT (2)',
  );
  assertEquals(error.code, "ENOENT");
  assertThrows(
    () => spawnCommand(["/etc/passwd"]),
    SyscallError,
    "execve returned EACCES (13)",
  );
  assertThrows(() => spawnCommand(["a\0b"]), TypeError, "NUL");
});
