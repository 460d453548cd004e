/** Becomes a command in a session of its own, without a terminal: setsid(1). */

import { execCommand } from "../../lib/sys/process/exec.ts";

const { symbols } = Deno.dlopen("libc.so.6", {
  setsid: { parameters: [], result: "i32" },
});

if (import.meta.main) {
  if (symbols.setsid() < 0) throw new Error("cannot begin a session");
  execCommand(Deno.args);
}
