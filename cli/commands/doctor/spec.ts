import { ENGINE_OPTIONS } from "../../args/engine_options.ts";
import type { CommandSpec } from "../../args/spec.ts";

/** `holdfast doctor`. */
export const DOCTOR_SPEC: CommandSpec = {
  name: "doctor",
  summary: "say which kinds of lock can be trusted at a path, and why",
  usage: [
    "holdfast doctor [--kind KIND] [--probe] [--json] PATH…",
    "holdfast doctor [OPTION…] URL…",
  ],
  description:
    "Examines the filesystem, mount options, NFS exports and cleaners that " +
    "bear on a lock file, and judges each kind of lock: between processes of " +
    "this host, between hosts that mount the same storage, and between a file " +
    "server and its clients. Nothing is locked, created or changed, unless " +
    "--probe is given.\n\n" +
    "With --probe, two processes try every kind against every other on a file " +
    "of their own in that directory, and the result is printed as a matrix.\n\n" +
    "A URL, as of `holdfast run` and with a lock's name or without, has its " +
    "servers examined: whether locks can be taken there, and what is true of " +
    "them.",
  operands: [{
    name: "PATH",
    help: "a lock file, which need not exist, or a directory",
    complete: "file",
  }],
  options: [
    {
      long: "kind",
      short: "k",
      value: "KIND",
      values: ["flock", "posix", "ofd", "link"],
      help: "the kind of lock the verdict is about; flock unless given",
    },
    {
      long: "probe",
      help: "take locks on a temporary file in the directory, and report",
    },
    {
      long: "probe-child",
      value: "FILE",
      hidden: true,
      help: "be the second process of --probe",
    },
    { long: "json", help: "print one JSON document" },
    ...ENGINE_OPTIONS,
  ],
  exitCodes: [
    ["0", "the kind asked for is safe at every path"],
    ["1", "it is not, or that can't be told; with a URL: no locks there"],
  ],
  examples: [
    ["holdfast doctor /srv/deploy/site.lock", "is this a good place?"],
    [
      "holdfast doctor -k link /mnt/nfs/job.lock && ./deploy",
      "gate a deployment on the answer",
    ],
  ],
};
