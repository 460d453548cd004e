/**
 * `holdfast who`: the holders and waiters of lock files.
 *
 * @module
 */

import {
  formatHolder,
  type HolderInfo,
  type LockParties,
  NO_HOLDERS_RECORDED,
  readLockPartiesForNeedles,
} from "../lib/inspect/holder.ts";
import {
  formatNeedle,
  type Needle,
  needleFromPath,
} from "../lib/inspect/needle.ts";
import { quotePath } from "../lib/proc/printable.ts";
import { EXIT } from "./exit_codes.ts";
import { parseOptions, UsageError } from "./options.ts";
import { writeOut } from "./output.ts";
import { WHO_SPEC } from "./who_spec.ts";

/** Exit code when somebody holds a lock, as a test command's "no". */
const HELD = 1;

const NOBODY: LockParties = {
  holders: [],
  waiters: [],
  unreadableProcesses: 0,
};

interface FileReport extends LockParties {
  path: string;
  needle: Needle | undefined;
}

/** Runs the subcommand and gives the exit code. */
export function whoCommand(args: string[]): Promise<number> {
  const options = parseOptions(WHO_SPEC, args);
  const paths = [...options.operands, ...options.afterDashes ?? []];
  if (paths.length === 0) throw new UsageError("missing lock file");
  const files = readFiles(paths);
  if (options.flag("json")) {
    writeOut(JSON.stringify({ schema: 1, files: files.map(toJson) }) + "\n");
  } else {
    writeOut(files.map((file) => toText(file) + "\n").join(""));
  }
  const held = files.some(({ holders }) => holders.length > 0);
  return Promise.resolve(held ? HELD : EXIT.OK);
}

function readFiles(paths: string[]): FileReport[] {
  const needles = paths.map(needleFromPath);
  const existing = needles.filter((needle) => needle !== undefined);
  const parties = existing.length === 0
    ? []
    : readLockPartiesForNeedles(existing);
  return paths.map((path, index) => {
    const needle = needles[index];
    return {
      path,
      needle,
      ...(needle === undefined ? NOBODY : parties.shift()!),
    };
  });
}

function toJson(file: FileReport): Record<string, unknown> {
  const { path, needle, holders, waiters, unreadableProcesses } = file;
  return {
    path,
    exists: needle !== undefined,
    needle: needle === undefined ? null : formatNeedle(needle),
    held: holders.length > 0,
    holders: holders.map(holderToJson),
    waiters: waiters.map(holderToJson),
    unreadableProcesses,
  };
}

function holderToJson(holder: HolderInfo): Record<string, unknown> {
  const { startTimeMs } = holder;
  return {
    pid: holder.pid ?? null,
    command: holder.command,
    user: holder.user ?? null,
    startTime: startTimeMs === undefined
      ? null
      : new Date(startTimeMs).toISOString(),
    type: holder.type,
    mode: holder.mode,
    startByte: String(holder.startByte),
    endByte: holder.endByte === undefined ? null : String(holder.endByte),
    sources: holder.sources,
  };
}

function toText(file: FileReport): string {
  const { path, needle, holders, waiters, unreadableProcesses } = file;
  const name = quotePath(path);
  if (needle === undefined) return `${name}: free, there is no such file`;
  const lines = [
    holders.length === 0
      ? `${name}: free ${NO_HOLDERS_RECORDED}`
      : `${name}: held by`,
    ...holders.map(describe),
  ];
  if (waiters.length > 0) {
    lines.push(" waited for by", ...waiters.map(describe));
  }
  if (unreadableProcesses > 0) {
    lines.push(
      ` (processes that may not be looked into, such as other users': ` +
        `${unreadableProcesses})`,
    );
  }
  return lines.join("\n");
}

/** Holder, lock and range on one line. */
function describe(holder: HolderInfo): string {
  const { type, mode, startByte, endByte, user } = holder;
  const range = startByte === 0n && endByte === undefined
    ? ""
    : ` bytes ${startByte}-${endByte ?? "EOF"}`;
  return `  ${formatHolder(holder)}\n` +
    `    ${type} ${mode}${range}${user === undefined ? "" : `, user ${user}`}`;
}
