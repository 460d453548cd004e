/**
 * The columns of `holdfast locks`: those of lslocks(8), and more.
 *
 * @module
 */

import { PATH_NOTES } from "../../ui/path_notes.ts";
import { printable } from "../../../lib/proc/printable.ts";
import type { LockedFile } from "../../../lib/inspect/locked_path.ts";
import type { TableHolder } from "../../../lib/inspect/lock_table.ts";
import { formatDuration } from "../../args/duration.ts";
import { UsageError } from "../../args/parse.ts";
import { isWaiting, type Row } from "./row.ts";

/** How values are written. */
export interface ColumnStyle {
  /** Whether sizes are exact. */
  bytes: boolean;
  /** The present time, in milliseconds since 1970. */
  nowMs: number;
  /** Whether paths stay as they are, to be escaped by whoever writes them. */
  raw?: boolean;
}

/** A value as the column has it; `undefined` when it isn't known. */
export type Cell =
  | string
  | number
  | bigint
  | boolean
  | readonly string[]
  | undefined;

/** One column. */
export interface Column {
  /** Its name, as lslocks has it. */
  name: string;
  /** What it says, a clause. */
  help: string;
  /** Whether numbers are put under each other. */
  right?: boolean;
  /** Its value in a row. */
  cell(row: Row, style: ColumnStyle): Cell;
  /** The time that the cell is written from, in milliseconds. */
  ms?(row: Row, style: ColumnStyle): number | undefined;
}

/** All columns, lslocks' own first. */
export const COLUMNS: readonly Column[] = [
  {
    name: "COMMAND",
    help: "name of the program that holds or waits",
    cell: ({ process }) => process?.name,
  },
  {
    name: "PID",
    help: "its process id",
    right: true,
    cell: ({ process }) => process?.pid,
  },
  {
    name: "TYPE",
    help: "kind of lock",
    cell: ({ entry }) => entry.type,
  },
  {
    name: "SIZE",
    help: "size of the file",
    right: true,
    cell: ({ entry }, { bytes }) => {
      const { sizeBytes } = entry.file;
      return sizeBytes === undefined || bytes
        ? sizeBytes
        : formatSize(sizeBytes);
    },
  },
  {
    name: "MODE",
    help: "what it grants; with * when it is only waited for",
    cell: (row) => row.entry.mode + (isWaiting(row) ? "*" : ""),
  },
  {
    name: "M",
    help: "whether it is mandatory",
    right: true,
    cell: ({ entry }) => entry.enforcement === "MANDATORY",
  },
  {
    name: "START",
    help: "first byte",
    right: true,
    cell: ({ entry }) => entry.startByte,
  },
  {
    name: "END",
    help: "last byte; 0 for the largest possible offset",
    right: true,
    cell: ({ entry }) => entry.endByte ?? 0n,
  },
  {
    name: "PATH",
    help: "path of the file",
    cell: ({ entry: { file } }, { raw }) =>
      raw ? rawPath(file) : describePath(file),
  },
  {
    name: "INODE",
    help: "inode number inside the kernel",
    right: true,
    cell: ({ entry }) => entry.file.inode,
  },
  {
    name: "MAJ:MIN",
    help: "device of its filesystem",
    cell: ({ entry: { file } }) =>
      file.major === undefined ? undefined : `${file.major}:${file.minor}`,
  },
  {
    name: "BLOCKER",
    help: "process ids of those in a waiter's way",
    right: true,
    cell: ({ blockers }) => joinPids(blockers.flatMap((lock) => lock.holders)),
  },
  {
    name: "HOLDERS",
    help: "all holders as PID,COMMAND,FD",
    cell: ({ holders }) => holders.flatMap(describeHolder),
  },
  {
    name: "USER",
    help: "user it runs as",
    cell: ({ process }) => process?.user,
  },
  {
    name: "CMDLINE",
    help: "command line, at most 100 characters",
    cell: ({ process }) => process?.command,
  },
  {
    name: "FD",
    help: "descriptors it holds the lock through",
    cell: ({ holders, process }) =>
      holders.find((holder) => holder.process === process)?.fds.join(","),
  },
  {
    name: "AGE",
    help: "how long it is held or waited for, by --trace; else how long its " +
      "process runs: no lock or wait is older",
    right: true,
    cell: (row, style) => {
      const ms = ageMs(row, style);
      return ms === undefined ? undefined : formatDuration(ms);
    },
    ms: ageMs,
  },
  {
    name: "WAITED",
    help:
      "how long it waits, by --trace; else more than a watch has seen (>) " +
      "or less than its process runs (<)",
    right: true,
    cell: (row, style) => {
      const ms = waitedMs(row, style);
      if (ms === undefined) return undefined;
      return BOUNDS[timeSource(row, style)] + formatDuration(ms);
    },
    ms: waitedMs,
  },
  {
    name: "TIMEFROM",
    help: "where AGE and WAITED come from: trace, watch or process",
    cell: timeSource,
  },
  {
    name: "STATE",
    help: "held, waiting or deadlocked",
    cell: (row) =>
      isWaiting(row) ? row.deadlocked ? "deadlocked" : "waiting" : "held",
  },
  {
    name: "WAITERS",
    help: "process ids of those who wait for this lock",
    cell: ({ waiters }) =>
      waiters.map(({ process }) => `${process?.pid ?? "?"}`),
  },
  {
    name: "TAKER",
    help: "the process that took it, which may be gone",
    right: true,
    cell: ({ entry }) => "takerPid" in entry ? entry.takerPid : undefined,
  },
  {
    name: "SOURCE",
    help: "how it is known: list (/proc/locks) or descriptor (only there)",
    cell: ({ entry }) =>
      "listed" in entry && !entry.listed ? "descriptor" : "list",
  },
  {
    name: "PATHSTATUS",
    help: "here, deleted, other-namespace, unreachable or unknown",
    cell: ({ entry }) => entry.file.pathStatus,
  },
  {
    name: "FSTYPE",
    help: "type of the filesystem",
    cell: ({ entry }) => entry.file.fsType,
  },
  {
    name: "MOUNT",
    help: "where the filesystem is mounted here",
    cell: ({ entry }) => entry.file.mountPoint,
  },
  {
    name: "ENFORCEMENT",
    help: "ADVISORY; ACTIVE, BREAKING or BREAKER for leases",
    cell: ({ entry }) => entry.enforcement,
  },
];

/** What a time is, as against what it should be. */
const BOUNDS = { trace: "", watch: ">", process: "<" } as const;

function timeSource(
  { time }: Row,
  { nowMs }: ColumnStyle,
): keyof typeof BOUNDS {
  // What a watch has seen only once, it hasn't seen to last.
  return time !== undefined && time.sinceMs < nowMs ? time.from : "process";
}

function ageMs(row: Row, { nowMs }: ColumnStyle): number | undefined {
  const { time, process } = row;
  const sinceMs = time?.from === "trace" ? time.sinceMs : process?.startTimeMs;
  return sinceMs === undefined ? undefined : Math.max(0, nowMs - sinceMs);
}

function waitedMs(row: Row, style: ColumnStyle): number | undefined {
  if (!isWaiting(row)) return undefined;
  return timeSource(row, style) === "watch"
    ? style.nowMs - row.time!.sinceMs
    : ageMs(row, style);
}

const DEFAULT_COLUMNS = 9;

/** The columns of lslocks without options. */
export const LSLOCKS_DEFAULT: readonly Column[] = COLUMNS.slice(
  0,
  DEFAULT_COLUMNS,
);

/**
 * The columns of a list like `pid,path`, in its order; after a `+` they are
 * added to the default ones.
 *
 * @throws {UsageError} for an unknown name.
 */
export function parseColumns(list: string): Column[] {
  const adds = list.startsWith("+");
  const names = (adds ? list.slice(1) : list).split(",")
    .map((name) => name.trim()).filter((name) => name !== "");
  if (names.length === 0) throw new UsageError("no columns given");
  const columns = names.map(findColumn);
  return adds ? [...LSLOCKS_DEFAULT, ...columns] : columns;
}

/** @throws {UsageError} for an unknown name. */
export function findColumn(name: string): Column {
  const wanted = name.toUpperCase();
  const column = COLUMNS.find((column) => column.name === wanted);
  if (column !== undefined) return column;
  throw new UsageError(`unknown column: ${name}`, {
    unknown: wanted,
    candidates: COLUMNS.map(({ name }) => name),
    hint: "holdfast locks -H lists the columns",
  });
}

/** A path for people: printable, with what is special about it. */
export function describePath(file: LockedFile): string | undefined {
  const { path, pathStatus, mountPoint } = file;
  if (path !== undefined) return printable(path) + PATH_NOTES[pathStatus];
  return mountPoint === undefined ? undefined : `${printable(mountPoint)}…`;
}

/** A path with what is special about it, as lslocks has it. */
function rawPath({ path, pathStatus, mountPoint }: LockedFile):
  | string
  | undefined {
  if (path !== undefined) return path + PATH_NOTES[pathStatus];
  return mountPoint === undefined ? undefined : `${mountPoint}...`;
}

function joinPids(holders: readonly TableHolder[]): string | undefined {
  if (holders.length === 0) return undefined;
  return [...new Set(holders.map(({ process }) => process?.pid ?? "?"))]
    .join(",");
}

function describeHolder({ process, fds }: TableHolder): string[] {
  const who = `${process?.pid ?? "?"},${process?.name ?? "?"}`;
  return fds.length === 0 ? [`${who},`] : fds.map((fd) => `${who},${fd}`);
}

/** A size for people, as util-linux writes it: `1.5M`. */
export function formatSize(bytes: bigint): string {
  const units = "BKMGTPE";
  let power = 0;
  let value = Number(bytes);
  while (value >= 1024 && power < units.length - 1) {
    value /= 1024;
    power++;
  }
  const rounded = Math.round(value * 10) / 10;
  return `${rounded}${units[power]}`;
}
