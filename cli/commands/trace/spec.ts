import type { CommandSpec } from "../../args/spec.ts";

/** `holdfast trace`. */
export const TRACE_SPEC: CommandSpec = {
  name: "trace",
  summary: "tell every lock, wait and release of any program as it happens",
  usage: [
    "holdfast trace [OPTION]… [PATH|DIR|GLOB]…",
    "holdfast trace [OPTION]… [PATH|DIR|GLOB]… -- COMMAND [ARG…]",
    "holdfast trace --poll[=INTERVAL] [OPTION]… [PATH|DIR|GLOB]…",
  ],
  description:
    "Tells what happens to the locks of all programs, by the kernel's own " +
    "tracepoints: who took a lock, waits for it and behind whom, was refused, " +
    "gave up, and let go, with how long it took. It needs root. On a terminal " +
    "it prints lines to read, elsewhere one JSON object a line, which " +
    "`holdfast report` sums up.\n\n" +
    "First it tells what is held already. With a COMMAND it tells of that one " +
    "and its children, ends with it and passes its exit code on; else it goes " +
    "on until it is interrupted or the time of --for is over.\n\n" +
    "A lock whose taker has ended is that of the nearest ancestor that lives: " +
    "the shell that ran flock(1) on a descriptor of its own. A file is named " +
    "by the descriptors, command lines and lock files seen; one that was open " +
    "too briefly is shown as device and inode, as in /proc/locks.\n\n" +
    "A program that does nothing but open, lock and close a file takes about " +
    "a fifth longer while it is traced, and one that doesn't lock no longer. If " +
    "more happens than can be read, the kernel drops the oldest events; how " +
    "many is said. So that this is rare, the tracer gets the lowest " +
    "real-time priority; start it with nice(1), and it keeps what you gave " +
    "it. Nothing of tracefs stays behind: it is not even mounted where others " +
    "see it, and what a tracer that was killed had to leave the next one " +
    "removes.\n\n" +
    "With --poll it looks at /proc/locks again and again instead. That needs " +
    "no root, but what comes and goes between two looks is missed, and " +
    "refusals always are.",
  operands: [
    {
      name: "PATH",
      help: "only locks on this file (by inode), below this directory, or on " +
        "paths that match this pattern",
      complete: "file",
    },
    {
      name: "COMMAND",
      help: "what to run and trace, after --",
      complete: "command",
    },
  ],
  options: [
    {
      long: "pid",
      short: "p",
      value: "PID",
      help: "only what this process and its children do",
      complete: "pid",
      repeat: true,
    },
    {
      long: "type",
      value: "LIST",
      help: "only these kinds: flock, posix, ofdlck, lease",
      repeat: true,
    },
    { long: "for", value: "DURATION", help: "end after so long" },
    {
      long: "output",
      short: "o",
      value: "FILE",
      help: "write the JSON lines to this file",
      complete: "file",
    },
    { long: "json", help: "print JSON lines, on a terminal too" },
    { long: "text", help: "print lines to read, into a pipe too" },
    {
      long: "buffer",
      value: "SIZE",
      help: "room for events not read yet, for each CPU; unless set, 64M or " +
        "less: together not more than 256M or a 32nd of the free memory",
    },
    {
      long: "poll",
      value: "[INTERVAL]",
      help: "look at /proc/locks every interval (20ms unless set) instead",
    },
  ],
  exitCodes: [
    ["0", "done"],
    ["69", "the kernel can't trace, or not for this user"],
    ["N", "with a COMMAND: its own exit code"],
  ],
  examples: [
    ["sudo holdfast trace", "everything that is locked, as it happens"],
    [
      "sudo holdfast trace /var/lib/dpkg --for 1m",
      "who takes the package manager's locks in the next minute?",
    ],
    [
      "sudo holdfast trace -o build.trace -- make -j8",
      "what a build locks; then: holdfast report build.trace",
    ],
    [
      `sudo holdfast trace | jq 'select(.waitedMs > 1000)'`,
      "waits of more than a second",
    ],
    ["holdfast trace --poll=100ms", "what can be seen without root"],
  ],
};
