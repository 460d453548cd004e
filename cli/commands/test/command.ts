/**
 * `holdfast test`: could this lock be taken now?
 *
 * @module
 */

import { isRemoteFd } from "../../../lib/fs/guard.ts";
import { askServer } from "../../../lib/fs/server.ts";
import {
  type HolderInfo,
  type LockParties,
  readLockParties,
  whyProcIsSilent,
} from "../../../lib/inspect/holder.ts";
import {
  excludesRange,
  RECORD_LOCK_TYPES,
} from "../../../lib/inspect/range_holders.ts";
import type { LockMode } from "../../../lib/lock/flock/flock.ts";
import { isLockUrl } from "../../../lib/lock/lock_path.ts";
import { probeLockFile } from "../../../lib/lock/lock_file.ts";
import { dirname } from "../../../lib/sys/path_parts.ts";
import {
  type BlockingLock,
  RECORD_LOCK_COMMANDS,
  type RecordLockRequest,
} from "../../../lib/lock/record/record_lock.ts";
import {
  type ByteSpan,
  rangeToSpan,
  recordLockRequest,
} from "../../../lib/lock/record/byte_span.ts";
import { ENOENT } from "../../../lib/sys/errno.ts";
import { SyscallError } from "../../../lib/sys/error.ts";
import { checkAccess } from "../../../lib/sys/storage/names.ts";
import { closeFile, statPath } from "../../../lib/sys/file.ts";
import { quotePath } from "../../../lib/proc/printable.ts";
import { EXIT } from "../../ui/exit_codes.ts";
import { parseOptions, UsageError } from "../../args/parse.ts";
import { refuseEngineOptions } from "../../args/read_engine_options.ts";
import { pathOperands } from "../../args/paths.ts";
import { writeOut } from "../../ui/output.ts";
import { TEST_SPEC } from "./spec.ts";
import { areKnown, describeGap } from "../../ui/gaps.ts";
import {
  blockingToJson,
  describeBlocking,
  describeHolder,
  holderToJson,
} from "../who/command.ts";

/** Exit code when somebody is in the way. */
const HELD = 1;

type TestKind = "flock" | "posix" | "ofd" | "both";

interface Question {
  path: string;
  /** `undefined` to let the filesystem decide. */
  kind: TestKind | undefined;
  mode: LockMode;
  span: ByteSpan;
}

interface Answer {
  exists: boolean;
  kind: TestKind;
  /** What a remote filesystem has to do with the kind and the answer. */
  kindReason: string | undefined;
  holders: HolderInfo[];
  /** What F_GETLK names; it may be on another host, and not among holders. */
  blocking: BlockingLock | undefined;
  /** Why somebody may be in the way none the less, when nobody is known. */
  unknown: string | undefined;
  unreadablePids: readonly number[];
}

/** Runs the subcommand and gives the exit code. */
export async function testCommand(args: string[]): Promise<number> {
  const options = parseOptions(TEST_SPEC, args);
  const [path, ...more] = pathOperands(options);
  if (path === undefined) throw new UsageError("missing lock file");
  if (more.length > 0) throw new UsageError(`unexpected operand '${more[0]}'`);
  if (isLockUrl(path)) {
    return await (await import("./engines.ts")).testInEngine(path, options);
  }
  refuseEngineOptions(options);
  const kind = options.value("kind") as TestKind | undefined;
  const range = options.value("range");
  if (range !== undefined && kind !== "posix" && kind !== "ofd") {
    throw new UsageError("--range goes with --kind posix or ofd", {
      hint: "Other locks are on whole files",
    });
  }
  const question: Question = {
    path,
    kind,
    mode: options.flag("shared") ? "shared" : "exclusive",
    span: range === undefined ? rangeToSpan() : rangeToSpan(
      (await import("../../args/byte_range.ts")).parseByteRange(range),
    ),
  };
  const answer = ask(question);
  writeOut(
    options.flag("json")
      ? toJson(question, answer)
      : toText(question, answer, options.flag("quiet")),
  );
  if (!isFree(answer)) return HELD;
  return answer.unknown === undefined ? EXIT.OK : EXIT.UNKNOWN;
}

function isFree({ holders, blocking }: Answer): boolean {
  return holders.length === 0 && blocking === undefined;
}

function ask({ path, kind: asked, mode, span }: Question): Answer {
  const file = probeLockFile(path);
  if (file === undefined) {
    requireParent(path);
    return {
      exists: false,
      kind: asked ?? "flock",
      kindReason: undefined,
      holders: [],
      blocking: undefined,
      unknown: undefined,
      unreadablePids: [],
    };
  }
  try {
    const isRemote = isRemoteFd(file.fd);
    const kind = asked ?? (isRemote ? "ofd" : "flock");
    // The kernel is asked first: whoever is in the way then is still there to
    // be named.
    const blocking = kind === "flock"
      ? undefined
      : inTheWay(file.fd, kind, recordLockRequest(span, mode), isRemote);
    const { holders, unreadablePids, silence } = readParties(path);
    const about = kind === "posix" || kind === "ofd"
      ? "fcntl"
      : kind === "both"
      ? "any"
      : "flock";
    const server = isRemote ? askServer(path, about, mode) : undefined;
    return {
      exists: true,
      kind,
      kindReason: isRemote ? remoteReason(asked) : undefined,
      holders: holders.filter((holder) =>
        excludesRange(holder, span, mode, typesInTheWay(kind, blocking))
      ),
      // On NFS another host's flock is a record lock, of which its server tells.
      blocking: blocking ??
        (kind === "flock" ? server?.blocking : undefined),
      unknown: server?.unknown ?? (about === "fcntl" ? undefined : silence),
      unreadablePids,
    };
  } finally {
    closeFile(file.fd);
  }
}

/** The record lock that is in the way of another. */
function inTheWay(
  fd: number,
  kind: Exclude<TestKind, "flock">,
  request: RecordLockRequest,
  isRemote: boolean,
): BlockingLock | undefined {
  try {
    return RECORD_LOCK_COMMANDS[kind === "posix" ? "posix" : "ofd"]
      .get(fd, request);
  } catch (error) {
    // A client of 9p says EINVAL of another client's lock. What the server
    // can't be asked for is unknown, and not an error.
    if (isRemote && error instanceof SyscallError) return undefined;
    throw error;
  }
}

/** What /proc tells; else why it doesn't. */
function readParties(path: string): LockParties & { silence?: string } {
  try {
    return readLockParties(path);
  } catch (error) {
    const silence = whyProcIsSilent(error);
    if (silence === undefined) throw error;
    return { holders: [], waiters: [], unreadablePids: [], silence };
  }
}

/** The kernel's answer decides about record locks; /proc only names them. */
function typesInTheWay(
  kind: TestKind,
  blocking: BlockingLock | undefined,
): readonly string[] {
  return [
    ...(kind === "flock" || kind === "both" ? ["FLOCK"] : []),
    ...(blocking === undefined ? [] : RECORD_LOCK_TYPES),
  ];
}

function remoteReason(asked: TestKind | undefined): string | undefined {
  switch (asked) {
    case undefined:
      return "an OFD lock was asked for: the filesystem is remote, and only " +
        "its server knows the locks of other hosts";
    case "flock":
    case "both":
      return "the filesystem is remote, where flocks of other hosts aren't seen";
    default:
      return undefined;
  }
}

/** A lock file that isn't there could be created; in no directory, it can't. */
function requireParent(path: string): void {
  if (path.endsWith("/")) {
    throw new SyscallError("open lock file", {
      syscall: "open",
      errno: ENOENT,
      path,
      advice: "its name ends with a slash, and there is no such directory",
    });
  }
  const parent = dirname(path);
  if (statPath(parent)?.type === "directory") {
    const errno = -checkAccess(parent, "write and enter");
    if (errno === 0) return;
    throw new SyscallError("open lock file", {
      syscall: "open",
      errno,
      path,
      advice: `there is none yet, and none can be made in ${quotePath(parent)}`,
    });
  }
  throw new SyscallError("open lock file", {
    syscall: "open",
    errno: ENOENT,
    path,
    advice: `there is no directory ${quotePath(parent)}`,
  });
}

function toJson({ path, mode, span }: Question, answer: Answer): string {
  const { kind, blocking, holders } = answer;
  return JSON.stringify({
    schema: 1,
    path,
    exists: answer.exists,
    kind,
    kindReason: answer.kindReason ?? null,
    mode,
    startByte: String(span.startByte),
    endByte: span.endByte === undefined ? null : String(span.endByte),
    free: isFree(answer) ? answer.unknown === undefined ? true : null : false,
    unknown: isFree(answer) ? answer.unknown ?? null : null,
    holders: holders.map(holderToJson),
    blocking: blockingToJson(blocking),
    unreadableProcesses: answer.unreadablePids.length,
  }) + "\n";
}

const KIND_WORDS: Readonly<Record<TestKind, string>> = {
  flock: "flock",
  posix: "POSIX lock",
  ofd: "OFD lock",
  both: "flock and OFD lock",
};

function toText(
  { path, mode, span }: Question,
  answer: Answer,
  quiet: boolean,
): string {
  const { startByte, endByte } = span;
  const range = startByte === 0n && endByte === undefined
    ? ""
    : ` on bytes ${startByte}-${endByte ?? "EOF"}`;
  const article = mode === "exclusive" ? "an" : "a";
  const lock = `${article} ${mode} ${KIND_WORDS[answer.kind]}${range}`;
  const name = quotePath(path);
  const reason = answer.kindReason === undefined
    ? []
    : [` (${answer.kindReason})`];
  if (isFree(answer) && answer.unknown !== undefined) {
    return `${name}: can't be known from here for ${lock}: ${answer.unknown}\n`;
  }
  if (isFree(answer)) {
    const absent = answer.exists ? "" : ", there is no such file yet";
    return [`${name}: free for ${lock}${absent}`, ...reason].join("\n") + "\n";
  }
  const { holders, blocking } = answer;
  const lines = [
    `${name}: not free for ${lock}, held by`,
    ...holders.map(describeHolder),
    ...reason,
  ];
  if (holders.length === 0 && blocking !== undefined) {
    lines.splice(1, 0, `  ${describeBlocking(blocking)}`);
  }
  if (!quiet && !areKnown(holders)) {
    lines.push(...describeGap(answer.unreadablePids));
  }
  return lines.join("\n") + "\n";
}
