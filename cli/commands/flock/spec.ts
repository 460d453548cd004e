import type { CommandSpec } from "../../args/spec.ts";

/** `holdfast flock`. */
export const FLOCK_SPEC: CommandSpec = {
  name: "flock",
  summary: "stand in for flock(1)",
  usage: [
    "holdfast flock [OPTION…] FILE|DIR COMMAND [ARG…]",
    "holdfast flock [OPTION…] FILE|DIR -c 'SHELL TEXT'",
    "holdfast flock [OPTION…] FD",
    "holdfast flock [OPTION…] --fd FD COMMAND [ARG…]",
    "holdfast flock [OPTION…] --fd FD -c 'SHELL TEXT'",
  ],
  description:
    "Takes a lock on a file or directory, which is created if need be, and " +
    "runs a command; or takes it on a descriptor that the calling shell has " +
    "open, and leaves it there. Options, exit codes and messages are those of " +
    "flock(1) of util-linux, so that scripts work unchanged.\n\n" +
    "The command shares the lock, which lasts until it and all processes that " +
    "inherit it have ended. Signals are passed on to the command, where " +
    "flock(1) would die and leave it behind. New scripts are better off with " +
    "holdfast run.",
  operands: [
    { name: "FILE", help: "what to lock", complete: "file" },
    { name: "FD", help: "an open descriptor of the caller", complete: "none" },
    { name: "COMMAND", help: "what to run", complete: "command" },
  ],
  options: [
    { long: "shared", short: "s", help: "take a shared lock" },
    {
      long: "exclusive",
      short: "xe",
      help: "take an exclusive lock, which is the default",
    },
    { long: "unlock", short: "u", help: "drop the lock of a descriptor" },
    {
      long: "nonblocking",
      aliases: ["nonblock", "nb"],
      short: "n",
      help: "fail at once when the lock is taken",
    },
    {
      long: "timeout",
      aliases: ["wait"],
      short: "w",
      value: "SECONDS",
      help: "fail after so long; fractions are allowed, 0 is -n",
    },
    {
      long: "conflict-exit-code",
      short: "E",
      value: "N",
      help: "exit code when the lock is taken, 0 to 255; 1 unless given",
    },
    {
      long: "close",
      short: "o",
      help: "don't let the command share the lock",
    },
    {
      long: "no-fork",
      short: "F",
      help: "become the command instead of waiting for it",
    },
    {
      long: "fd",
      value: "FD",
      help: "lock an open descriptor while a command runs",
    },
    {
      long: "command",
      short: "c",
      value: "TEXT",
      help: "with --fd, or after FILE: run a text by $SHELL",
    },
    { long: "fcntl", help: "use an OFD lock of fcntl(2) instead of flock(2)" },
    {
      long: "start",
      value: "OFFSET",
      help: "first byte to lock, such as 4096 or 4KiB; implies --fcntl",
    },
    {
      long: "length",
      value: "SIZE",
      help: "bytes to lock, 0 for all from the start on; implies --fcntl",
    },
    { long: "verbose", help: "say how long it took, and why it failed" },
    { long: "version", short: "V", help: "print the version and exit" },
  ],
  exitCodes: [
    ["N", "the command's own exit code"],
    ["128+N", "signal N ended the command"],
    ["1", "the lock was taken, or as -E says"],
    ["64", "the command line can't be understood"],
    ["65", "the descriptor or file can't be locked"],
    ["66", "the file can't be opened"],
    ["69", "the command can't be executed"],
    ["71", "out of processes, descriptors, memory or locks"],
    ["73", "the file can't be created: no room, or read-only"],
  ],
  examples: [
    ["holdfast flock -n /tmp/job.lock make", "unless it runs already"],
    [
      "( holdfast flock -n 9 || exit 1; make ) 9>/tmp/job.lock",
      "lock the rest of a subshell",
    ],
  ],
  stopAtFirstOperand: true,
};
