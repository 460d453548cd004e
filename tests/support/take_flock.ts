/**
 * What a test needs of flock(1), by holdfast's own libc:
 * `[-n] [-s] FILE COMMAND [ARGUMENT…]`. The process takes the
 * lock and becomes the command, which shares the lock's descriptor.
 */

import { execCommand } from "../../lib/sys/process/exec.ts";
import {
  flockAsleep,
  flockNow,
  type LockMode,
} from "../../lib/sys/lock/flock.ts";
import { O_CREAT, O_RDONLY, openFile } from "../../lib/sys/file.ts";

const args = [...Deno.args];
let take = flockAsleep;
let mode: LockMode = "exclusive";
for (;;) {
  if (args[0] === "-n") take = flockNow;
  else if (args[0] === "-s") mode = "shared";
  else break;
  args.shift();
}
const [path, ...command] = args as [string, ...string[]];
const fd = openFile(path, O_RDONLY | O_CREAT);
if (fd < 0) throw new Error(`open ${path}: errno ${-fd}`);
if (take(fd, mode) < 0) Deno.exit(1);
execCommand(command);
