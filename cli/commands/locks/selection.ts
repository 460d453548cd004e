/**
 * Which locks of the table are asked for.
 *
 * @module
 */

import {
  formatNeedle,
  type Needle,
  needleFromPath,
} from "../../../lib/inspect/needle.ts";
import type { LockedFile } from "../../../lib/inspect/locked_path.ts";
import type {
  LockTable,
  TableHolder,
  TableRange,
} from "../../../lib/inspect/lock_table.ts";
import { realPath, statPath } from "../../../lib/sys/file.ts";
import { type ParsedOptions, UsageError } from "../../args/parse.ts";
import type { RowTest } from "./filter.ts";

type FileTest = (file: LockedFile) => boolean;

/** What the user wants to see; without wishes, everything. */
export interface Selection {
  /** On one of these, … */
  files: FileTest[];
  /** … and called like one of these. */
  names: FileTest[];
  pids: number[];
  heldBy: string[];
  types: string[];
  onlyNamed: boolean;
  /** Of what is left, only rows that pass this. */
  filter: RowTest | undefined;
}

/**
 * Reads the selection from the command line. Paths are looked up now, so that
 * `--watch` follows what they named in the beginning.
 *
 * @throws {UsageError} for a malformed value.
 * @throws {SyscallError} when a path can't be looked up.
 */
export async function readSelection(
  options: ParsedOptions,
): Promise<Selection> {
  const operands = [...options.operands, ...options.afterDashes ?? []];
  const filter = options.value("filter");
  const files: FileTest[] = [];
  for (const operand of operands) files.push(await operandTest(operand));
  return {
    files,
    names: await Promise.all(options.all("path").map(globTest)),
    pids: options.all("pid").map(parsePid),
    heldBy: options.all("held-by"),
    types: options.all("type").flatMap((list) => list.split(",")).map(readType),
    onlyNamed: options.flag("noinaccessible"),
    filter: filter === undefined
      ? undefined
      : (await import("./filter.ts")).parseFilter(filter),
  };
}

const TYPES = ["FLOCK", "POSIX", "OFDLCK", "ACCESS", "LEASE", "DELEG"];

function readType(word: string): string {
  const type = word.trim().toUpperCase();
  if (type === "OFD") return "OFDLCK";
  if (TYPES.includes(type)) return type;
  throw new UsageError(`unknown type of lock: '${word}'`, {
    unknown: type,
    candidates: TYPES,
    hint: `It takes some of: ${TYPES.join(", ").toLowerCase()}`,
  });
}

function parsePid(text: string): number {
  if (!/^\d{1,10}$/.test(text)) {
    throw new UsageError(`invalid PID argument: '${text}'`);
  }
  return Number(text);
}

async function operandTest(operand: string): Promise<FileTest> {
  if (operand === "") throw new UsageError("a path must not be empty");
  const stat = statPath(operand);
  if (stat === undefined) {
    if (/[*?[{]/.test(operand)) return globTest(await absolute(operand));
    // A file that is gone may still be locked under its name.
    const path = await absolute(operand);
    return (file) => file.path === path;
  }
  const test = needleTest(needleFromPath(operand));
  if (stat.type !== "directory") return test;
  const directory = realPath(operand) ?? operand;
  const prefix = directory === "/" ? "/" : `${directory}/`;
  return (file) => test(file) || (file.path?.startsWith(prefix) ?? false);
}

function needleTest(needle: Needle | undefined): FileTest {
  if (needle === undefined) return () => false;
  const key = formatNeedle(needle);
  return ({ major, minor, inode }) =>
    inode === needle.inode && major !== undefined && minor !== undefined &&
    formatNeedle({ major, minor, inode }) === key;
}

async function absolute(path: string): Promise<string> {
  const { resolve } = await import("@std/path/resolve");
  return resolve(path);
}

async function globTest(glob: string): Promise<FileTest> {
  const { globToRegExp } = await import("@std/path/glob-to-regexp");
  const pattern = globToRegExp(glob, { extended: true, globstar: true });
  const wholePath = glob.includes("/");
  return ({ path }) => {
    if (path === undefined) return false;
    return pattern.test(
      wholePath ? path : path.slice(path.lastIndexOf("/") + 1),
    );
  };
}

/** The part of a table that is asked for; ids stay as they are. */
export function selectFrom(table: LockTable, wanted: Selection): LockTable {
  const isWanted = ({ type, file }: TableRange) =>
    (wanted.types.length === 0 || wanted.types.includes(type)) &&
    [wanted.files, wanted.names].every((tests) =>
      tests.length === 0 || tests.some((test) => test(file))
    ) &&
    (!wanted.onlyNamed || file.path !== undefined);
  const isHeld = (holders: readonly TableHolder[]) =>
    wanted.heldBy.length === 0 ||
    holders.some((holder) =>
      wanted.heldBy.some((who) => isCalled(holder, who))
    );
  const isOf = (...pids: (number | undefined)[]) =>
    wanted.pids.length === 0 ||
    pids.some((pid) => pid !== undefined && wanted.pids.includes(pid));
  return {
    ...table,
    locks: table.locks.filter((lock) =>
      isWanted(lock) && isHeld(lock.holders) && !isOwn(lock.holders) &&
      isOf(...lock.holders.map(({ process }) => process?.pid))
    ),
    waiters: table.waiters.filter((waiter) =>
      isWanted(waiter) && isOf(waiter.process?.pid) &&
      isHeld(waiter.blockers.flatMap(({ holders }) => holders))
    ),
  };
}

/** The runtime locks its own caches; that is not what anybody asks for. */
function isOwn(holders: readonly TableHolder[]): boolean {
  return holders.length === 1 && holders[0]!.process?.pid === Deno.pid;
}

function isCalled({ process }: TableHolder, who: string): boolean {
  return process !== undefined &&
    (`${process.pid}` === who || process.name === who || process.user === who);
}
