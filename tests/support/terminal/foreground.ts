/**
 * Becomes a command in a process group of its own, in the foreground of the
 * terminal that is its stdin: what a shell does between fork and exec.
 */

import { execCommand } from "../../../lib/sys/process/exec.ts";
import { ignoreSignal, resetSignal } from "../../../lib/sys/process/signals.ts";

const { symbols } = Deno.dlopen("libc.so.6", {
  setpgid: { parameters: ["i32", "i32"], result: "i32" },
  tcsetpgrp: { parameters: ["i32", "i32"], result: "i32" },
});

// Until it is in the foreground, tcsetpgrp(3) would stop it.
ignoreSignal("SIGTTOU");
if (symbols.setpgid(0, 0) < 0) throw new Error("cannot begin a group");
if (symbols.tcsetpgrp(0, Deno.pid) < 0) {
  throw new Error("cannot come to the foreground");
}
resetSignal("SIGTTOU");
execCommand(Deno.args);
