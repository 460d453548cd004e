import {
  ENGINE_EXIT_CODES,
  ENGINE_OPTIONS,
} from "../../args/engine_options.ts";
import type { CommandSpec } from "../../args/spec.ts";

/** `holdfast who`. */
export const WHO_SPEC: CommandSpec = {
  name: "who",
  summary: "say who holds a lock, and who waits for it",
  usage: ["holdfast who [OPTION…] LOCKFILE…", "holdfast who [OPTION…] URL…"],
  description:
    "Lists the processes that hold a lock on each file: the one that took it, " +
    "and every process that shares the descriptor it was taken through. " +
    "Of a link lock (run --kind link) it tells the owner. " +
    "Nothing is locked or created. A file on a remote filesystem is opened for " +
    "reading, to ask its server for the locks of other hosts.\n\n" +
    "Where /proc can't be read, nobody can be named: the file is opened for " +
    "reading, the kernel says whether a record lock is held, and of flocks " +
    "nothing is known.\n\n" +
    "A URL may stand for the file, as with `holdfast run`: its server tells " +
    "who holds the lock, and the queue in its order.",
  operands: [
    { name: "LOCKFILE", help: "the file to ask about", complete: "file" },
  ],
  options: [
    { long: "json", help: "print one JSON document" },
    {
      long: "quiet",
      short: "q",
      help: "leave out which processes may not be looked into",
    },
    ...ENGINE_OPTIONS,
  ],
  exitCodes: [
    ["0", "nobody holds a lock on any of the files"],
    ["1", "somebody holds a lock on at least one"],
    [
      "2",
      "it can't be known from here: the filesystem doesn't tell, or /proc " +
      "can't be read",
    ],
    ...ENGINE_EXIT_CODES,
  ],
  examples: [
    ["holdfast who /var/lock/backup.lock", "who is in the way?"],
    [
      "holdfast who --json /tmp/a.lock | jq '.files[0].holders[].pid'",
      "the process ids, for a script",
    ],
  ],
};
