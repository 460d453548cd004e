import type { CommandSpec } from "../../args/spec.ts";

/** `holdfast gc`. */
export const GC_SPEC: CommandSpec = {
  name: "gc",
  summary: "remove lock files that nobody holds",
  usage: [
    "holdfast gc [--dry-run] [--older-than AGE] [--match GLOB] [-r] DIR…",
  ],
  description:
    "Removes the lock files of a directory that nobody holds, while others go " +
    "on taking locks: each is locked in every way, looked up again by its name, " +
    "and removed under the lock. All who take locks by holdfast then notice " +
    "that theirs is of a removed file, and begin anew. Other programs may not: " +
    "leave the lock files of flock(1) alone while it may run.\n\n" +
    "Only empty files are removed, and those that hold nothing but state of " +
    "holdfast's that is of no more use: that of --every is kept until the " +
    "interval is over. Link locks and cache entries are never removed, nor " +
    "are symbolic links followed or removed.",
  operands: [{
    name: "DIR",
    help: "a directory with lock files",
    complete: "dir",
  }],
  options: [
    { long: "dry-run", short: "n", help: "only say what would be removed" },
    {
      long: "older-than",
      value: "AGE",
      help: "leave alone what was created or written since, such as 7d; to " +
        "lock a file doesn't count, for it changes no date",
    },
    {
      long: "match",
      value: "GLOB",
      repeat: true,
      help: "which names are lock files, with * and ?; unless given *.lock, " +
        "*.lock.queue, what is in NAME.slots, and what an interrupted " +
        "transform has left",
    },
    {
      long: "with-content",
      help: "remove files with content of others as well",
    },
    { long: "recursive", short: "r", help: "look into directories below too" },
    {
      long: "allow-remote",
      help: "go on where the filesystem makes no promise, such as NFS",
    },
    { long: "json", help: "print one JSON document" },
    {
      long: "quiet",
      excludes: ["json"],
      short: "q",
      help: "say nothing but errors",
    },
  ],
  exitCodes: [
    ["0", "done, whether or not there was anything to remove"],
    ["1", "some file could not be removed"],
  ],
  examples: [
    ["holdfast gc --dry-run /var/lock", "what would go?"],
    [
      "holdfast gc -q --older-than 7d -r /srv/cache",
      "from cron, once a day",
    ],
  ],
};
