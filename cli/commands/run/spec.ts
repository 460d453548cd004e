import { ENGINE_OPTIONS } from "../../args/engine_options.ts";
import type { CommandSpec, OptionSpec } from "../../args/spec.ts";

/** The options under their headings. */
const OPTIONS: Readonly<Record<string, readonly OptionSpec[]>> = {
  Lock: [
    { long: "shared", short: "s", help: "share the lock with other sharers" },
    {
      long: "exclusive",
      short: "x",
      help: "share it with nobody, which is the default",
    },
    {
      long: "kind",
      short: "k",
      value: "KIND",
      values: ["flock", "posix", "ofd", "both", "link"],
      help:
        "the kind of lock: flock unless given, posix, ofd, both (flock and " +
        "ofd), or link",
    },
    {
      long: "range",
      value: "START:LENGTH",
      help:
        "lock only these bytes, with -k posix or ofd; length 0 reaches to " +
        "the end, however the file grows",
    },
    {
      long: "message",
      value: "TEXT",
      help: "with --kind link or a URL: what others are told who find the " +
        "lock held; the command, unless given, with a URL",
    },
    {
      long: "lease",
      value: "DURATION",
      help: "with --kind link: lose the lock, and end the command, when no " +
        "heartbeat has succeeded for so long; take over expired leases. With " +
        "a URL: others can have the lock so long after the last renewal; 15s " +
        "unless given",
    },
    {
      long: "lease-margin",
      value: "DURATION",
      help:
        "with a URL: end the command so long before its lease may end, by " +
        "TERM and, after two thirds of it, KILL; two fifths of the lease " +
        "unless given",
    },
    ...ENGINE_OPTIONS,
    {
      long: "fence",
      help:
        "give the command a number in HOLDFAST_FENCE that rises with every " +
        "holder, for what refuses lower ones; the lock file keeps it. Link " +
        "locks and URLs have it anyway",
    },
    {
      long: "tree",
      excludes: ["slots"],
      value: "DIR",
      help: "instead of a lock file: the lock of a directory tree, which is " +
        "kept in the lock directory",
      complete: "dir",
    },
    {
      long: "allow-remote",
      excludes: ["kind=link"],
      help: "lock even where the filesystem makes no promise, such as NFS",
    },
  ],
  Waiting: [
    {
      long: "nonblock",
      short: "n",
      help: "give up at once when the lock is taken, like -w 0; of these two " +
        "the last counts",
    },
    {
      long: "timeout",
      aliases: ["wait"],
      short: "w",
      value: "DURATION",
      help: "give up after so long",
    },
    {
      long: "conflict-exit-code",
      needs: ["nonblock", "timeout", "singleton"],
      short: "E",
      value: "N",
      help: "exit code when giving up, 0 to 255; 75 unless given",
    },
    {
      long: "allow-nested",
      excludes: ["nonblock", "timeout", "singleton"],
      help: "wait even for a lock that an ancestor of this command holds " +
        "while it waits for it, which without -w is refused at once",
    },
    {
      long: "singleton",
      excludes: ["nonblock", "timeout", "quiet", "verbose"],
      help: "if the lock is taken, exit with 0 at once and say nothing: the " +
        "command is running already",
    },
    {
      long: "fair",
      help: "take turns in the order of arrival with all who say so too",
    },
    {
      long: "every",
      value: "DURATION",
      help: "run at most once in so long, else exit with 0; the lock file " +
        "keeps the time of the last start",
    },
    {
      long: "max-load",
      value: "N[,5m|15m]",
      help: "start only when the load average, of 1 minute unless said " +
        "otherwise, is at or below N; the lock is waited for first, and let go " +
        "while the load is higher",
    },
  ],
  Command: [
    {
      long: "command",
      short: "c",
      value: "TEXT",
      help: "run a text by the shell; what follows -- becomes $1 and so on",
    },
    {
      long: "shell",
      value: "PATH",
      help: "the shell for -c; /bin/sh unless given, whatever $SHELL says",
      complete: "command",
    },
    {
      long: "env",
      value: "NAME=VALUE",
      repeat: true,
      help: "set a variable for the command",
    },
    {
      long: "cwd",
      value: "DIR",
      help: "start the command in this directory",
      complete: "dir",
    },
    {
      long: "exec",
      help: "become the command: the lock is then held until it and all " +
        "processes that it leaves behind have ended",
    },
    {
      long: "on-supervisor-death",
      value: "WHAT",
      values: ["keep", "kill"],
      help: "when holdfast itself is killed: keep the lock with the command, " +
        "which is the default, or kill the command too; kill doesn't reach " +
        "what the command has started, nor a command that is set-user-ID. " +
        "posix, link and URL locks can't be kept by a command: it is killed, " +
        "and the next holder may start a moment before it is gone. With a URL " +
        "what the command has started is killed too. ofd locks meet the same " +
        "programs as posix locks, and are kept",
    },
    {
      long: "kill-after",
      value: "DURATION",
      help: "kill the command when it is still there so long after a TERM",
    },
  ],
  "Many at once": [
    {
      long: "slots",
      value: "N",
      help: "N at a time: LOCKFILE is a name, or a directory for the slots; " +
        "the command finds its slot, from 0, in HOLDFAST_SLOT",
    },
    {
      long: "want",
      value: "K",
      help: "take K of the slots, all or none; 1 unless given",
    },
    {
      long: "cpus",
      value: "N",
      help: "reserve N CPUs and run the command on them; it finds them in " +
        "HOLDFAST_CPUS; with --shared, others may share them",
    },
    { long: "cpu-list", value: "LIST", help: "reserve these CPUs: 0-3,8" },
    {
      long: "llcs",
      value: "N",
      help: "reserve the CPUs of N last-level caches",
    },
    {
      long: "same-llc",
      needs: ["cpus", "cpu-list", "llcs"],
      help: "all CPUs behind one last-level cache",
    },
    {
      long: "performance",
      needs: ["cpus", "cpu-list", "llcs"],
      help: "let nobody else reserve CPUs behind the same last-level caches",
    },
  ],
  Output: [
    {
      long: "json-events",
      value: "FILE|FD",
      help:
        "write what happens to a file or descriptor, one JSON object a line",
      complete: "file",
    },
    {
      long: "report",
      help: "say on stderr how long the lock was waited for and held",
    },
    {
      long: "quiet",
      excludes: ["verbose"],
      short: "q",
      help: "say nothing but errors",
    },
    {
      long: "verbose",
      short: "v",
      help: "say at once who is being waited for, and when the lock is taken",
    },
  ],
};

/** `holdfast run`. */
export const RUN_SPEC: CommandSpec = {
  name: "run",
  summary: "run a command under a lock",
  usage: [
    "holdfast run [OPTION…] LOCKFILE… -- COMMAND [ARG…]",
    "holdfast run [OPTION…] LOCKFILE… -c 'SHELL TEXT' [-- ARG…]",
    "holdfast run --slots N [OPTION…] NAME -- COMMAND [ARG…]",
    "holdfast run [OPTION…] URL… [LOCKFILE…] -- COMMAND [ARG…]",
    "holdfast run {--tree DIR|--cpus N} [OPTION…] -- COMMAND [ARG…]",
  ],
  description:
    "Takes the lock, waiting for it if need be, runs the command, and " +
    "releases the lock when the command ends, even if it leaves processes " +
    "behind. The lock file is created and stays. The command finds the " +
    "absolute path of the lock in HOLDFAST_LOCK, several joined by colons.\n\n" +
    "Several lock files are taken all or none, in an order of their own, so " +
    "that two callers can't wait for each other.\n\n" +
    "A signal that arrives during the wait ends holdfast and the command never " +
    "starts. Later ones are passed on to the command. Those that a terminal " +
    "sends to all of its foreground processes (Ctrl-C, Ctrl-\\, Ctrl-Z, a new " +
    "window size) the command has got already, and doesn't get twice; where " +
    "such a one and one for holdfast alone arrive together, the kernel makes " +
    "one of them. As the first process of a container, holdfast also reaps orphans.\n\n" +
    "Where HOLDFAST_EVENTS names a file, or a directory to keep one in, what " +
    "happens is appended to it as with --json-events, and `holdfast report` " +
    "sums it up. At 16 MiB a new file is begun; four older ones are kept.\n\n" +
    "A URL names a lock that several machines share: " +
    "etcd://HOST:PORT,HOST/NAME, etcds:// by TLS, or " +
    "postgres://USER@HOST/DATABASE#NAME. The command finds it in " +
    "HOLDFAST_LOCK, a number that rises with every holder in HOLDFAST_FENCE, " +
    "and the engine's name for the lock in HOLDFAST_LOCK_KEY; of several, each " +
    "on a line. When the lease can't be renewed the command is ended before " +
    "anybody else can have the lock.\n\n" +
    "A DURATION is a number of seconds, or has units: 500ms, 30s, 2m, 1h30m.",
  operands: [
    { name: "LOCKFILE", help: "a file or directory to lock", complete: "file" },
    { name: "COMMAND", help: "what to run, after --", complete: "command" },
  ],
  options: [
    ...Object.entries(OPTIONS).flatMap(([group, options]) =>
      options.map((option) => ({ ...option, group }))
    ),
    {
      long: "guard",
      value: "PID",
      hidden: true,
      help: "become the command, and be killed when the parent PID ends",
    },
    {
      long: "lease-guard",
      value: "FD",
      hidden: true,
      help: "end a command at the deadlines that arrive there",
    },
  ],
  exitCodes: [
    ["N", "the command's own exit code"],
    ["128+N", "signal N ended the command, or the wait for the lock"],
    ["75", "the lock was taken, or as -E says"],
    ["64", "the command line can't be understood"],
    ["65", "the file can't be locked, or the lock was lost"],
    ["66", "the lock file can't be opened"],
    [
      "69",
      "the filesystem makes no promise about this kind of lock, or the engine " +
      "can't be reached or used",
    ],
    ["71", "out of processes, descriptors, memory or locks"],
    ["73", "the lock file can't be created: no room, or read-only"],
    ["77", "Deno lacks a permission that this takes, or the engine refuses"],
    [
      "78",
      "the wait would never end: an ancestor holds the lock and waits for this",
    ],
    ["126, 127", "the command can't be executed, or wasn't found"],
  ],
  examples: [
    [
      "holdfast run -n /run/lock/backup.lock -- rsync -a /srv /backup",
      "skip this time if the last one still runs (cron)",
    ],
    [
      "holdfast run -w 10m deploy.lock -c 'git pull && make install'",
      "wait up to ten minutes",
    ],
    [
      "holdfast run --slots 4 encode -- ffmpeg -i in.mkv out.mp4",
      "four at a time on this host",
    ],
    [
      "holdfast run --cpus 4 --same-llc --performance -- ./benchmark",
      "four CPUs and their cache for one measurement",
    ],
    [
      "holdfast run --exec /run/lock/worker.lock -- worker --serve",
      "leave nothing but the command in memory",
    ],
  ],
};
