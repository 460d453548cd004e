/**
 * Becomes a command in a process group of its own, as a shell's job is. Its
 * parent stays in another group of the session, so the group isn't orphaned:
 * in an orphaned one the kernel discards SIGTSTP, see setpgid(2).
 */

import { execCommand } from "../../lib/sys/process/exec.ts";

const { symbols } = Deno.dlopen("libc.so.6", {
  setpgid: { parameters: ["i32", "i32"], result: "i32" },
});

if (import.meta.main) {
  if (symbols.setpgid(0, 0) < 0) throw new Error("cannot begin a group");
  execCommand(Deno.args);
}
