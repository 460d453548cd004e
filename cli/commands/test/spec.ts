import {
  ENGINE_EXIT_CODES,
  ENGINE_OPTIONS,
} from "../../args/engine_options.ts";
import type { CommandSpec } from "../../args/spec.ts";

/** `holdfast test`. */
export const TEST_SPEC: CommandSpec = {
  name: "test",
  summary: "say whether a lock could be taken now, without taking it",
  usage: ["holdfast test [OPTION…] LOCKFILE", "holdfast test [OPTION…] URL"],
  description:
    "Says whether the lock is free, and who is in the way. Nothing is locked, " +
    "not even for a moment, and nothing is created. Record locks are asked " +
    "of the kernel (F_GETLK), which on a network filesystem asks the server; " +
    "a flock can't be asked for, so it is judged by the holders in /proc. " +
    "Without /proc a flock is unknown, and whoever is in the way of a record " +
    "lock isn't named.\n\n" +
    "A URL may stand for the file, as with `holdfast run`.\n\n" +
    "The answer may be out of date when it arrives: to do something under a " +
    "lock, use holdfast run -n.",
  operands: [
    { name: "LOCKFILE", help: "the file to ask about", complete: "file" },
  ],
  options: [
    {
      long: "kind",
      short: "k",
      value: "KIND",
      values: ["flock", "posix", "ofd", "both"],
      help: "the kind of lock; unless given, flock, or ofd where the " +
        "filesystem is remote, since /proc doesn't show other hosts' locks",
    },
    {
      long: "range",
      value: "START:LENGTH",
      help:
        "ask about these bytes only, with -k posix or ofd; length 0 reaches " +
        "to the end, however the file grows",
    },
    { long: "shared", short: "s", help: "ask for a shared lock" },
    { long: "json", help: "print one JSON document" },
    {
      long: "quiet",
      short: "q",
      help: "leave out which processes may not be looked into",
    },
    ...ENGINE_OPTIONS,
  ],
  exitCodes: [
    ["0", "the lock could be taken"],
    ["1", "somebody holds a lock in the way"],
    [
      "2",
      "it can't be known from here: the filesystem doesn't tell, or /proc " +
      "can't be read",
    ],
    ["64", "the command line can't be understood"],
    ["65", "the file can't be locked"],
    ["66", "the lock file can't be opened"],
    ...ENGINE_EXIT_CODES,
  ],
  examples: [
    ["holdfast test /run/lock/backup.lock || echo busy", "is it running?"],
    [
      "holdfast test -k posix --range 0x40000000:1 app.db",
      "has a writer of this SQLite database reserved it?",
    ],
  ],
};
