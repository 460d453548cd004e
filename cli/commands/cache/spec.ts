import type { CommandSpec } from "../../args/spec.ts";
import { WAIT_OPTIONS } from "../../args/wait_options.ts";

/** `holdfast cache`. */
export const CACHE_SPEC: CommandSpec = {
  name: "cache",
  summary: "print a cache entry, built once by a command",
  usage: [
    "holdfast cache [OPTION…] DIR KEY -- COMMAND [ARG…]",
    "holdfast cache --evict [OPTION…] DIR KEY",
  ],
  description:
    "Prints the entry of a key. If there is none, the command is run and what " +
    "it prints becomes the entry; others who want it meanwhile wait. If the " +
    "command fails, there is no entry. HUP, INT, QUIT and TERM are passed on " +
    "to the command, and if holdfast itself is killed, the next build waits " +
    "until the command has ended.\n\n" +
    "With --path, the command makes a file or directory at the path in " +
    "HOLDFAST_OUTPUT, and the path of the entry is printed instead.",
  operands: [
    { name: "DIR", help: "the cache; created if need be", complete: "dir" },
    { name: "KEY", help: "names the entry, a file in DIR", complete: "none" },
    { name: "COMMAND", help: "builds the entry", complete: "command" },
  ],
  options: [
    {
      long: "path",
      help: "the command writes to $HOLDFAST_OUTPUT; print the entry's path",
    },
    {
      long: "evict",
      excludes: ["path"],
      help: "remove the entry when nobody reads it",
    },
    ...WAIT_OPTIONS,
  ],
  exitCodes: [
    ["0", "done"],
    ["N", "the command's own exit code; there is no entry"],
    ["75", "the entry was locked until the deadline"],
  ],
  examples: [
    [
      'holdfast cache ~/.cache/api users -- curl -sf "$URL"',
      "fetched once, however many ask",
    ],
  ],
};
