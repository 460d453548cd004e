/**
 * What a test needs of flock(1), by holdfast's own libc:
 * `[-n] [-s] FILE COMMAND [ARGUMENT…]`. The process takes the
 * lock and becomes the command, which shares the lock's descriptor.
 */

import { execCommand } from "../../lib/sys/process/exec.ts";
import { libc } from "../../lib/sys/libc.ts";
import { O_CREAT, O_RDONLY, openFile } from "../../lib/sys/file.ts";
import { callLibc } from "../../lib/sys/call.ts";

const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;

const args = [...Deno.args];
let operation = LOCK_EX;
let flags = 0;
for (;;) {
  if (args[0] === "-n") flags = LOCK_NB;
  else if (args[0] === "-s") operation = LOCK_SH;
  else break;
  args.shift();
}
const [path, ...command] = args as [string, ...string[]];
const fd = openFile(path, O_RDONLY | O_CREAT);
if (fd < 0) throw new Error(`open ${path}: errno ${-fd}`);
if (callLibc(() => libc.flock(fd, operation | flags)) < 0) Deno.exit(1);
execCommand(command);
