/**
 * Which locks of the table are asked for.
 *
 * @module
 */

import type {
  LockTable,
  TableHolder,
  TableRange,
} from "../../../lib/inspect/lock_table.ts";
import { statPath } from "../../../lib/sys/file.ts";
import {
  type FileTest,
  globTest,
  operandTest,
  parsePid,
} from "../../args/file_selection.ts";
import { type ParsedOptions, UsageError } from "../../args/parse.ts";
import type { RowTest } from "./filter.ts";

/** What the user wants to see; without wishes, everything. */
export interface Selection {
  /** On one of these, … */
  files: FileTest[];
  /** Whether those are certain files, and not directories or patterns. */
  isOfFiles: boolean;
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
    isOfFiles: operands.length > 0 && operands.every(isFile),
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

function isFile(path: string): boolean {
  const stat = statPath(path);
  return stat !== undefined && stat.type !== "directory";
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
