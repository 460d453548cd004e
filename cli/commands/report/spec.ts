import type { CommandSpec } from "../../args/spec.ts";

/** `holdfast report`. */
export const REPORT_SPEC: CommandSpec = {
  name: "report",
  summary: "sum up a trace: waits, holds, who is to blame, orders that clash",
  usage: [
    "holdfast report [OPTION]… FILE…",
    "holdfast report [OPTION]… --for DURATION",
    "holdfast report [OPTION]… [--since WHEN]",
  ],
  description:
    "Sums up what happened to each lock: how often it was taken, how long it " +
    "was held and waited for, who held it longest and made others wait most, " +
    "and convoys: stretches in which somebody always waited. It also finds " +
    "locks that are taken in one order here and in the opposite order there. " +
    "That is a deadlock that has not happened yet.\n\n" +
    "FILE is what `holdfast trace` or `holdfast run --json-events` wrote, or " +
    "both, or - for stdin. With --for it traces now, for so long, which takes " +
    "root. Without either it reads the history in $HOLDFAST_EVENTS: a file, " +
    "or a directory, to which every `holdfast run` appends.\n\n" +
    "A wait is blamed on whoever held the lock meanwhile. Percentiles are at " +
    "most 1.1 % off; counts, totals and maxima are exact. Orders clash only " +
    "if those who could meet are several processes, would wait, want what the " +
    "other holds (not both shared, bytes in common), and share no other lock " +
    "that keeps them apart.",
  operands: [
    { name: "FILE", help: "a trace, or - for stdin", complete: "file" },
  ],
  options: [
    {
      long: "for",
      value: "DURATION",
      help: "trace now, for so long; interrupt it to have the report earlier",
    },
    {
      long: "since",
      value: "WHEN",
      help: "only what happened in the last so long (24h), or since a time " +
        "(2026-11-25T03:00)",
    },
    {
      long: "path",
      value: "PATH",
      help: "only locks on this file, below this directory, or on paths that " +
        "match this pattern",
      complete: "file",
      repeat: true,
    },
    { long: "top", value: "N", help: "list N locks; 20 unless given" },
    { long: "json", help: "print all of it as one JSON document" },
    {
      long: "html",
      value: "FILE",
      help: "write a page with a timeline for a browser; it needs no network",
      complete: "file",
    },
    {
      long: "openmetrics",
      help: "print figures in the text format that Prometheus reads",
    },
    {
      long: "pid",
      short: "p",
      value: "PID",
      help: "with --for: only what this process and its children do",
      complete: "pid",
      repeat: true,
    },
    {
      long: "buffer",
      value: "SIZE",
      help: "with --for: room for events not read yet, for each CPU",
    },
    {
      long: "poll",
      value: "[INTERVAL]",
      help:
        "with --for: look at /proc/locks every interval (20ms unless set) " +
        "instead",
    },
  ],
  exitCodes: [
    ["0", "done"],
    ["65", "a file has no events that can be understood"],
    ["66", "a file can't be opened"],
    ["69", "the kernel can't trace, or not for this user"],
  ],
  examples: [
    ["sudo holdfast report --for 30s", "what the next half minute brings"],
    [
      "sudo holdfast report --for 5m --html locks.html",
      "the same as a page with a timeline",
    ],
    ["holdfast report build.trace", "a trace that was written down"],
    [
      "holdfast report --since 24h",
      "the runs of the last day, from $HOLDFAST_EVENTS",
    ],
    [
      "holdfast report --json build.trace | jq '.inversions'",
      "orders that clash, for a script",
    ],
  ],
};
