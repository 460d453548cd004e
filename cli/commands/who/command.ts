/**
 * `holdfast who`: the holders and waiters of lock files.
 *
 * @module
 */

import { askKernel, askServer } from "../../../lib/fs/server.ts";
import {
  formatHolder,
  type HolderInfo,
  type LockParties,
  NO_HOLDERS_RECORDED,
  readLockPartiesForNeedles,
  whyProcIsSilent,
} from "../../../lib/inspect/holder.ts";
import {
  formatNeedle,
  type Needle,
  needleFromPath,
} from "../../../lib/inspect/needle.ts";
import type { LinkLockOwner } from "../../../lib/lock/link/mod.ts";
import type { BlockingLock } from "../../../lib/lock/record/record_lock.ts";
import { isLockUrl } from "../../../lib/lock/lock_path.ts";
import { statPath } from "../../../lib/sys/file.ts";
import { quotePath } from "../../../lib/proc/printable.ts";
import { EXIT } from "../../ui/exit_codes.ts";
import { parseOptions, UsageError } from "../../args/parse.ts";
import { refuseEngineOptions } from "../../args/read_engine_options.ts";
import { areKnown, describeGap } from "../../ui/gaps.ts";
import { pathOperands } from "../../args/paths.ts";
import { writeOut } from "../../ui/output.ts";
import { WHO_SPEC } from "./spec.ts";

/** Exit code when somebody holds a lock, as a test command's "no". */
const HELD = 1;

const NOBODY: LockParties = {
  holders: [],
  waiters: [],
  unreadablePids: [],
};

interface FileReport extends LockParties {
  path: string;
  exists: boolean;
  /** Absent, too, where /proc doesn't tell it. */
  needle: Needle | undefined;
  /** Who holds it by the link lock in it. */
  linkOwner: LinkLockOwner | undefined;
  /**
   * What the server of a remote filesystem says when nobody here holds it, or
   * the kernel where /proc says nothing.
   */
  elsewhere: BlockingLock | undefined;
  /** Why there may be holders elsewhere, when none is known. */
  unknown: string | undefined;
}

/** Runs the subcommand and gives the exit code. */
export async function whoCommand(args: string[]): Promise<number> {
  const options = parseOptions(WHO_SPEC, args);
  const paths = pathOperands(options);
  if (paths.length === 0) throw new UsageError("missing lock file");
  if (paths.some(isLockUrl)) {
    const { whoInEngines } = await import("./engines.ts");
    return await whoInEngines(paths, options);
  }
  refuseEngineOptions(options);
  const files = await readFiles(paths);
  if (options.flag("json")) {
    const link = await loadLink(files);
    const documents = files.map((file) => toJson(file, link));
    writeOut(JSON.stringify({ schema: 1, files: documents }) + "\n");
  } else {
    const link = await loadLink(files);
    const quiet = options.flag("quiet");
    writeOut(files.map((file) => `${toText(file, link, quiet)}\n`).join(""));
  }
  if (files.some(isHeld)) return HELD;
  return files.some(({ unknown }) => unknown !== undefined)
    ? EXIT.UNKNOWN
    : EXIT.OK;
}

function isHeld({ holders, linkOwner, elsewhere }: FileReport): boolean {
  return holders.length > 0 || linkOwner !== undefined ||
    elsewhere !== undefined;
}

type LinkModule = typeof import("../link/command.ts");

async function loadLink(
  files: readonly FileReport[],
): Promise<LinkModule | undefined> {
  return files.every(({ linkOwner }) => linkOwner === undefined)
    ? undefined
    : await import("../link/command.ts");
}

/** The owner of a link lock, which most lock files aren't. */
async function readLinkOwner(path: string): Promise<LinkLockOwner | undefined> {
  const stat = statPath(path, { followSymlink: false });
  if (stat?.type !== "file" || stat.size === 0n) return undefined;
  const { ForeignLinkLockError, readLinkLockOwner } = await import(
    "../../../lib/lock/link/mod.ts"
  );
  try {
    return readLinkLockOwner(path);
  } catch (error) {
    if (error instanceof ForeignLinkLockError) return undefined;
    throw error;
  }
}

async function readFiles(paths: string[]): Promise<FileReport[]> {
  const seen = readProc(paths);
  const owners = await Promise.all(paths.map(readLinkOwner));
  return paths.map((path, index) => {
    const { exists, needle, parties, silence } = seen[index]!;
    const linkOwner = owners[index];
    const isAsked = exists && parties.holders.length === 0 &&
      linkOwner === undefined;
    const answer = isAsked
      ? askServer(path, "any") ??
        (silence === undefined ? undefined : askKernel(path))
      : undefined;
    return {
      path,
      exists,
      needle,
      linkOwner,
      ...parties,
      elsewhere: answer?.blocking,
      unknown: answer?.unknown ?? (isAsked ? silence : undefined),
    };
  });
}

/** What /proc tells of a file. */
interface Seen {
  exists: boolean;
  needle: Needle | undefined;
  parties: LockParties;
  /** Why it tells nothing. */
  silence: string | undefined;
}

function readProc(paths: readonly string[]): Seen[] {
  try {
    const needles = paths.map(needleFromPath);
    const existing = needles.filter((needle) => needle !== undefined);
    const parties = existing.length === 0
      ? []
      : readLockPartiesForNeedles(existing);
    return needles.map((needle) => ({
      exists: needle !== undefined,
      needle,
      parties: needle === undefined ? NOBODY : parties.shift()!,
      silence: undefined,
    }));
  } catch (error) {
    const silence = whyProcIsSilent(error);
    if (silence === undefined) throw error;
    return paths.map((path) => ({
      exists: statPath(path) !== undefined,
      needle: undefined,
      parties: NOBODY,
      silence,
    }));
  }
}

function toJson(
  file: FileReport,
  link: LinkModule | undefined,
): Record<string, unknown> {
  const { path, exists, needle, holders, waiters, unreadablePids } = file;
  return {
    path,
    exists,
    needle: needle === undefined ? null : formatNeedle(needle),
    held: isHeld(file) ? true : file.unknown === undefined ? false : null,
    unknown: file.unknown ?? null,
    linkOwner: link?.ownerToJson(file.linkOwner) ?? null,
    holders: holders.map(holderToJson),
    waiters: waiters.map(holderToJson),
    blocking: blockingToJson(file.elsewhere),
    unreadableProcesses: unreadablePids.length,
  };
}

/** A holder or waiter as JSON documents have it. */
export function holderToJson(holder: HolderInfo): Record<string, unknown> {
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

function toText(
  file: FileReport,
  link: LinkModule | undefined,
  quiet: boolean,
): string {
  const { path, exists, holders, waiters } = file;
  const { linkOwner, elsewhere, unknown } = file;
  const name = quotePath(path);
  if (!exists) return `${name}: free, there is no such file`;
  const lines = linkOwner !== undefined && link !== undefined
    ? [`${name}: held by a link lock`, link.linkOwnerText(linkOwner)]
    : [
      isHeld(file)
        ? `${name}: held by`
        : unknown === undefined
        ? `${name}: free ${NO_HOLDERS_RECORDED}`
        : `${name}: can't be known from here: ${unknown}`,
      ...holders.map(describeHolder),
    ];
  if (elsewhere !== undefined) lines.push(`  ${describeBlocking(elsewhere)}`);
  if (waiters.length > 0) {
    lines.push(" waited for by", ...waiters.map(describeHolder));
  }
  const isAnswered = linkOwner !== undefined || areKnown(holders);
  if (
    !quiet && !(isAnswered && waiters.every(({ pid }) => pid !== undefined))
  ) {
    lines.push(...describeGap(file.unreadablePids));
  }
  return lines.join("\n");
}

/** A holder or waiter, its lock and its range, on two lines. */
export function describeHolder(holder: HolderInfo): string {
  const { type, mode, startByte, endByte, user } = holder;
  const range = startByte === 0n && endByte === undefined
    ? ""
    : ` bytes ${startByte}-${endByte ?? "EOF"}`;
  return `  ${formatHolder(holder)}\n` +
    `    ${type} ${mode}${range}${user === undefined ? "" : `, user ${user}`}`;
}

/** A lock whose holder isn't seen in /proc. */
export function describeBlocking(blocking: BlockingLock): string {
  const { type, startByte, lengthBytes, pid } = blocking;
  const end = lengthBytes === 0n ? "EOF" : startByte + lengthBytes - 1n;
  const who = pid > 0
    ? `pid=${pid}, perhaps of another host`
    : "a process that can't be seen from here";
  return `${who}: a ${type} lock on bytes ${startByte}-${end}`;
}

/** The same as JSON documents have it. */
export function blockingToJson(
  blocking: BlockingLock | undefined,
): Record<string, unknown> | null {
  if (blocking === undefined) return null;
  const { type, startByte, lengthBytes, pid } = blocking;
  return {
    type,
    startByte: String(startByte),
    lengthBytes: String(lengthBytes),
    pid,
  };
}
