/**
 * What is to be locked, where that isn't just a flock of the files named.
 *
 * @module
 */

import type { LockMode } from "../../../lib/lock/flock/flock.ts";
import { parseCpuList } from "../../../lib/proc/cpulist.ts";
import { readCount } from "../../args/count.ts";
import { parseDuration } from "../../args/duration.ts";
import { type ParsedOptions, UsageError } from "../../args/parse.ts";
import { refuseEngineOptions } from "../../args/read_engine_options.ts";
import type {
  CpuWish,
  FilesTarget,
  LinkTarget,
  LockTarget,
} from "./request.ts";

/** What is locked first, and the CPUs that are reserved then. */
export interface TargetAndCpus {
  target: LockTarget;
  cpus: CpuWish | undefined;
}

/** Ways to take the lock that exclude each other. */
const WAYS = ["slots", "fair", "every", "fence"] as const;

/** Options that other kinds of locks than flock have no use for. */
const BY_FLOCK = [...WAYS, "want", "tree", "cpus", "cpu-list", "llcs"];

/** Reads it; {@linkcode readRequest} is for the rest. */
export async function readTarget(
  options: ParsedOptions,
  mode: LockMode,
): Promise<TargetAndCpus> {
  const kind = readKind(options);
  if (options.flag("range") && kind !== "posix" && kind !== "ofd") {
    throw new UsageError("--range goes with --kind posix or ofd", {
      hint: "Other locks are on whole files",
    });
  }
  const idle = ["message", "lease"].find((name) => options.flag(name));
  if (kind !== "link" && idle !== undefined) {
    throw new UsageError(`--${idle} goes with --kind link`, {
      hint: "Only link locks carry a message or have a lease",
    });
  }
  refuseEngineOptions(options);
  if (options.flag("lease-margin")) {
    throw new UsageError("--lease-margin goes with a URL", {
      hint: "It is about locks that several machines share",
    });
  }
  const unfit = BY_FLOCK.find((name) => options.flag(name));
  if (kind !== "flock" && unfit && !(kind === "link" && unfit === "fence")) {
    throw new UsageError(`--kind ${kind} can't go with this`, {
      hint: "Turns, slots, trees, intervals and CPUs are taken by flock",
    });
  }
  const cpus = readCpus(options, mode);
  const paths = await readPaths(options);
  if (paths.length === 0 && cpus === undefined) {
    throw new UsageError("missing lock file");
  }
  const target = readWay(options, mode, paths) ??
    await readNamed(options, mode, paths);
  return { target, cpus };
}

async function readNamed(
  options: ParsedOptions,
  mode: LockMode,
  paths: readonly string[],
): Promise<LockTarget> {
  if (paths.length === 0) return { type: "nothing" };
  const kind = readKind(options);
  if (kind === "link") return readLink(options, mode, paths);
  if (kind === "posix") checkPosix(options);
  return { type: "files", paths, kind, range: await readRange(options) };
}

function readKind(options: ParsedOptions): FilesTarget["kind"] | "link" {
  return (options.value("kind") ?? "flock") as FilesTarget["kind"] | "link";
}

async function readPaths(options: ParsedOptions): Promise<readonly string[]> {
  const tree = options.value("tree");
  if (tree === undefined) return options.operands;
  if (options.operands.length > 0) {
    throw new UsageError("--tree names the lock, so there is no lock file");
  }
  const { treeLockPath } = await import("../../../lib/patterns/tree_lock.ts");
  return [await treeLockPath(tree)];
}

/** One of the ways that only flock knows. */
function readWay(
  options: ParsedOptions,
  mode: LockMode,
  paths: readonly string[],
): LockTarget | undefined {
  const isLink = readKind(options) === "link";
  // A link lock has a fence anyway.
  const [way, other] = WAYS.filter((name) =>
    options.flag(name) && !(isLink && name === "fence")
  );
  if (other !== undefined) {
    throw new UsageError(`--${way} can't go with --${other}`);
  }
  if (options.flag("want") && way !== "slots") {
    throw new UsageError("--want goes with --slots");
  }
  if (way === undefined) return undefined;
  const [path] = paths;
  if (paths.length !== 1) {
    throw new UsageError(
      `--${way} needs one ${way === "slots" ? "name" : "lock file"}`,
    );
  }
  if (mode === "shared" && way !== "fair") {
    throw new UsageError(`--shared can't go with --${way}`);
  }
  switch (way) {
    case "fair":
      return { type: "fair", path: path! };
    case "slots":
      return {
        type: "slots",
        name: path!,
        slots: readCount("slots", options.value("slots")!),
        want: readCount("want", options.value("want") ?? "1"),
      };
    case "fence":
      return { type: "fenced", path: path! };
    case "every":
      if (options.flag("max-load")) {
        throw new UsageError("--every can't go with --max-load");
      }
      return {
        type: "interval",
        path: path!,
        intervalMs: parseDuration(options.value("every")!),
      };
  }
}

async function readRange(
  options: ParsedOptions,
): Promise<FilesTarget["range"]> {
  const text = options.value("range");
  if (text === undefined) return undefined;
  return (await import("../../args/byte_range.ts")).parseByteRange(text);
}

/** A POSIX lock can't be handed on: it is this process's, and ends with it. */
function checkPosix(options: ParsedOptions): void {
  const hint = "A command can only hold a flock, ofd or both lock";
  if (options.flag("exec")) {
    throw new UsageError("--exec can't go with --kind posix", { hint });
  }
  if (options.value("on-supervisor-death") === "keep") {
    throw new UsageError(
      "--on-supervisor-death keep can't go with --kind posix",
      { hint },
    );
  }
}

function readLink(
  options: ParsedOptions,
  mode: LockMode,
  paths: readonly string[],
): LinkTarget {
  if (paths.length > 1) {
    throw new UsageError("--kind link takes one lock file", {
      hint: "Nest one holdfast run in another for several",
    });
  }
  if (mode === "shared") throw new UsageError("a link lock can't be shared");
  const lease = options.value("lease");
  return {
    type: "link",
    path: paths[0]!,
    message: options.value("message"),
    leaseMs: lease === undefined ? undefined : readLease(lease),
  };
}

function readLease(text: string): number {
  const ms = parseDuration(text);
  if (ms >= 1000) return ms;
  throw new UsageError(`invalid lease: '${text}' (at least 1s)`);
}

function readCpus(
  options: ParsedOptions,
  mode: LockMode,
): CpuWish | undefined {
  const count = options.value("cpus");
  const list = options.value("cpu-list");
  const domains = options.value("llcs");
  const given = [count, list, domains].filter((text) => text !== undefined);
  if (given.length === 0) return undefined;
  if (given.length > 1) {
    throw new UsageError(
      "only one of --cpus, --cpu-list and --llcs can be met",
    );
  }
  const performance = options.flag("performance");
  if (performance && mode === "shared") {
    throw new UsageError("--performance can't go with --shared");
  }
  return {
    cpus: count === undefined ? readList(list) : readCount("cpus", count),
    domains: domains === undefined ? undefined : readCount("llcs", domains),
    sameDomain: options.flag("same-llc"),
    performance,
  };
}

function readList(text: string | undefined): number[] | undefined {
  if (text === undefined) return undefined;
  try {
    return parseCpuList(text);
  } catch {
    throw new UsageError(`invalid list of CPUs: '${text}'`, {
      hint: "Write numbers and ranges: 0-3,8",
    });
  }
}
