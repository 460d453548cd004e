import {
  ENGINE_EXIT_CODES,
  ENGINE_OPTIONS,
} from "../../args/engine_options.ts";
import type { CommandSpec } from "../../args/spec.ts";

/** Options about the look of the table, which other views don't have. */
const TABLE_OPTIONS = [
  "output",
  "output-all",
  "raw",
  "noheadings",
  "bytes",
  "notruncate",
  "sort",
];

/** `holdfast locks`. */
export const LOCKS_SPEC: CommandSpec = {
  name: "locks",
  summary: "list every lock, who holds it and who waits for it",
  usage: [
    "holdfast locks [OPTION]… [PATH|DIR|GLOB]…",
    "holdfast locks --watch[=INTERVAL] [OPTION]… [PATH|DIR|GLOB]…",
    "holdfast locks --graph[=FORMAT] | --deadlocks | --html FILE",
  ],
  description:
    "Lists the locks of all kinds that this user may see: one row for each " +
    "lock and one for each process that waits for one. A lock that " +
    "/proc/locks hides, and one whose taker is gone, is found by the " +
    "descriptors that carry it. Nothing is locked or created, and what this " +
    "command itself has locked is left out.\n\n" +
    "Options and columns of lslocks(8) work here as there. In a table START, " +
    "END and a taker's PID are the kernel's; END is 0 for the largest " +
    "possible offset; MODE has a * when it is only waited for. PATH ends in " +
    "(deleted) when the name was removed, in (other namespace) when it is " +
    "so named only where the holder lives, in (unreachable) when it leads " +
    "nowhere or elsewhere here; it is the mount point and … when no " +
    "descriptor with the lock may be looked into. The kernel doesn't record " +
    "when a lock was taken or a wait began: AGE is that of the process, " +
    "--watch tells what it has seen, and --trace what a running `holdfast " +
    "trace` knows; the column TIMEFROM says which.\n\n" +
    "Without root, other users' processes can't be looked into: how many is " +
    "said on stderr, or in the JSON; not where certain files were asked for " +
    "and all holders and waiters are known.",
  operands: [
    {
      name: "PATH",
      help: "only locks on this file (by inode), below this directory, or on " +
        "paths that match this pattern",
      complete: "file",
    },
  ],
  options: [
    {
      long: "json",
      excludes: [
        "lslocks-json",
        "graph",
        "html",
        "openmetrics",
        ...TABLE_OPTIONS,
      ],
      help: "print one JSON document of this tool's own schema; with --watch " +
        "one line for each change",
    },
    {
      long: "lslocks-json",
      excludes: [
        "raw",
        "noheadings",
        "notruncate",
        "watch",
        "graph",
        "deadlocks",
        "html",
        "openmetrics",
      ],
      short: "J",
      help: "print the columns as JSON the way lslocks -J does",
    },
    {
      long: "output",
      short: "o",
      value: "LIST",
      help: "the columns to print, such as PID,PATH; +LIST adds them",
    },
    { long: "output-all", excludes: ["output"], help: "print all columns" },
    {
      long: "list-columns",
      short: "H",
      help: "print the columns there are, and exit",
    },
    { long: "raw", short: "r", help: "one space between columns, no padding" },
    { long: "noheadings", short: "n", help: "print no heading" },
    { long: "bytes", short: "b", help: "print SIZE in bytes" },
    {
      long: "notruncate",
      short: "u",
      help: "don't cut columns to the terminal's width",
    },
    {
      long: "noinaccessible",
      short: "i",
      help: "leave out locks whose file's path can't be found",
    },
    {
      long: "pid",
      short: "p",
      value: "PID",
      help: "only what this process holds or waits for",
      complete: "pid",
      repeat: true,
    },
    {
      long: "held-by",
      value: "WHO",
      help:
        "only locks held by a process of this PID, name or user, and who waits for them",
      repeat: true,
    },
    {
      long: "type",
      value: "LIST",
      help: "only these kinds: flock, posix, ofdlck, lease, deleg",
      repeat: true,
    },
    {
      long: "path",
      value: "GLOB",
      help: "only files whose path (or, without a slash, name) matches",
      repeat: true,
    },
    {
      long: "filter",
      short: "Q",
      value: "EXPR",
      help: "only rows of which this is true: columns, texts in quotes and " +
        "numbers, compared by == != < <= > >= or a pattern by =~ !~, joined " +
        "by && || ! ( )",
    },
    {
      long: "sort",
      value: "COLUMN",
      help: "sort by a column, downwards with a - before it",
    },
    {
      long: "quiet",
      short: "q",
      help: "say nothing on stderr but errors: not that there is no such " +
        "lock, nor what could not be seen",
    },
    {
      long: "trace",
      value: "FILE",
      help: "take AGE and WAITED from the file that a running " +
        "`holdfast trace -o FILE` writes",
      complete: "file",
    },
    {
      long: "watch",
      value: "[INTERVAL]",
      help: "read again every interval (1s unless set), until interrupted",
    },
    {
      long: "openmetrics",
      excludes: TABLE_OPTIONS,
      help: "print figures in the text format that Prometheus reads",
    },
    {
      long: "graph",
      excludes: TABLE_OPTIONS,
      value: "[FORMAT]",
      help: "draw who waits for whom: text (unless set), dot or mermaid",
      values: ["text", "dot", "mermaid"],
    },
    {
      long: "deadlocks",
      excludes: TABLE_OPTIONS,
      help: "report the rings of processes that wait for each other",
    },
    {
      long: "html",
      excludes: TABLE_OPTIONS,
      value: "FILE",
      help: "write a page to explore in a browser; it needs no network",
      complete: "file",
    },
    ...ENGINE_OPTIONS,
  ],
  exitCodes: [
    ["0", "done; with --deadlocks: there is none"],
    ["3", "with --deadlocks: there is at least one"],
    ...ENGINE_EXIT_CODES,
  ],
  examples: [
    ["holdfast locks /var/lib/app", "every lock below a directory"],
    ["holdfast locks --watch=2s", "keep an eye on them"],
    ["holdfast locks -o +USER,BLOCKER,HOLDERS", "more columns"],
    [
      `holdfast locks -Q 'TYPE == "FLOCK" && AGE > "1h"'`,
      "flocks of processes that run for more than an hour",
    ],
    [
      "holdfast locks --json | jq '.waiters[].process.pid'",
      "who waits, for a script",
    ],
    [
      "holdfast locks --deadlocks || echo stuck",
      "are processes waiting for each other?",
    ],
  ],
};
