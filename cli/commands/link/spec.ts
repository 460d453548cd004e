import type { CommandSpec } from "../../args/spec.ts";

/** `holdfast link`. */
export const LINK_SPEC: CommandSpec = {
  name: "link",
  summary: "show, break or sweep locks made by hard link",
  usage: [
    "holdfast link show [--json] PATH",
    "holdfast link break [--force [--yes]] [--json] PATH",
    "holdfast link sweep [--dry-run] [--json] PATH",
  ],
  description:
    "Looks after the locks of run --kind link, which work on NFS too. show " +
    "says who holds the lock and whether its owner is alive. break removes a " +
    "lock whose owner is proved dead: a process of this host and pid " +
    "namespace that has ended, or one from before a reboot. sweep removes " +
    "private files that killed processes have left behind, and nothing of " +
    "which that can't be proved; a record that was never finished, after a day.",
  operands: [
    {
      name: "ACTION",
      help: "show, break or sweep",
      complete: "none",
      values: ["show", "break", "sweep"],
    },
    { name: "PATH", help: "the lock", complete: "file" },
  ],
  options: [
    {
      long: "force",
      help: "with break: remove the lock even if its owner may be alive, " +
        "which then goes on beside the next one",
    },
    {
      long: "yes",
      needs: ["force"],
      short: "y",
      help: "with --force: don't ask; needed where there is no terminal",
    },
    { long: "dry-run", help: "with sweep: remove nothing" },
    { long: "json", help: "print one JSON document" },
  ],
  exitCodes: [
    ["0", "nobody holds the lock (show), or it is done"],
    ["1", "somebody holds it (show), or it was not broken"],
    ["65", "what stands at the path is no link lock"],
  ],
  examples: [
    ["holdfast link show /nfs/job.lock", "who is it, and does it live?"],
    ["holdfast link break /nfs/job.lock", "its owner has died"],
    [
      "holdfast link break --force --yes /nfs/job.lock",
      "its host is gone for good",
    ],
  ],
};
