import type { CommandSpec } from "../../args/spec.ts";
import { WAIT_OPTIONS } from "../../args/wait_options.ts";

/** `holdfast append`. */
export const APPEND_SPEC: CommandSpec = {
  name: "append",
  summary: "append stdin to a file as one piece",
  usage: ["holdfast append [OPTION…] FILE < DATA"],
  description:
    "Reads all of stdin, and then appends it under the file's lock: never " +
    "mixed with what others append so, never in part when the disk is full, " +
    "and never to a file that has just been rotated away. What others append " +
    "without a lock is never cut off: on a filesystem that can't set space " +
    "aside (such as NFS), a part may stay on a full disk while " +
    "somebody else has the file open, and the error says how much.",
  operands: [
    { name: "FILE", help: "the file; created if need be", complete: "file" },
  ],
  options: [
    {
      long: "start-new-line",
      help: "end the last line first, if it was left unfinished",
    },
    { long: "sync", help: "wait until the data is on disk" },
    ...WAIT_OPTIONS,
  ],
  exitCodes: [
    ["0", "done"],
    ["73", "no room, or a read-only filesystem; nothing was changed"],
    ["75", "the file was locked until the deadline"],
  ],
  examples: [
    ["make 2>&1 | holdfast append build.log", "one build after the other"],
  ],
};
