import type { CommandSpec } from "../../args/spec.ts";
import { WAIT_OPTIONS } from "../../args/wait_options.ts";

/** `holdfast transform`. */
export const TRANSFORM_SPEC: CommandSpec = {
  name: "transform",
  summary: "change a file by a command, under its lock",
  usage: ["holdfast transform [OPTION…] FILE -- COMMAND [ARG…]"],
  description:
    "Locks the file, gives its content to the command, and what the command " +
    "prints becomes the new content, in one step: readers see the old content " +
    "or the new one. If the command fails, nothing is changed. Owner, mode, " +
    "access control lists and other extended attributes are kept.\n\n" +
    "A file is written in place instead where it can't be replaced (a mount " +
    "point, a directory that may not be written) or would lose something " +
    "(other hard links, an owner that can't be given away). If that fails, " +
    "the old content is written back. If it is killed meanwhile, the old " +
    "content is in .FILE.holdfast-old.INODE beside it, and the next transform " +
    "says so instead of going on. Set-user-ID bits are then kept for the " +
    "owner and root; the kernel takes them away from anybody else.",
  operands: [
    { name: "FILE", help: "the file to change", complete: "file" },
    { name: "COMMAND", help: "reads stdin, prints", complete: "command" },
  ],
  options: [
    { long: "create", help: "begin with an empty file if there is none" },
    {
      long: "method",
      value: "HOW",
      values: ["auto", "replace", "in-place"],
      help: "insist on one way to write; auto unless given",
    },
    {
      long: "fence",
      value: "N",
      help: "change nothing if this was called with a higher number before, " +
        "which FILE.fence remembers; N is HOLDFAST_FENCE of the lock that the " +
        "change is made under",
    },
    ...WAIT_OPTIONS,
  ],
  exitCodes: [
    ["0", "done, even if nothing had to be changed"],
    ["N", "the command's own exit code; nothing was changed"],
    ["65", "a higher --fence has been here; nothing was changed"],
    ["73", "no room, or a read-only filesystem; nothing was changed"],
    ["75", "the file was locked until the deadline"],
  ],
  examples: [
    ["holdfast transform config.json -- jq '.port = 8080'", "no lost update"],
    ["holdfast transform --create hosts -- sort -u", "sort a file in place"],
  ],
};
