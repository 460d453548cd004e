/**
 * A report as JSON, schema 1: keys never go away, what isn't known is null,
 * and inodes are decimal strings.
 *
 * @module
 */

import type { TracedFile, TracedLock, TracedProcess } from "../activity.ts";
import { isoTime } from "../json.ts";
import type { NotableTime } from "./lock_stats.ts";
import type { TraceReport } from "./report.ts";

/** Version of the document's form. */
export const REPORT_SCHEMA = 1;

/** The document. */
export function reportJson(report: TraceReport): string {
  const { fromMs, untilMs, activities, lost, locks, inversions } = report;
  const document = {
    schema: REPORT_SCHEMA,
    from: fromMs === undefined ? null : isoTime(fromMs),
    until: untilMs === undefined ? null : isoTime(untilMs),
    activities,
    lost,
    locks: locks.map((lock) => ({
      ...lock,
      file: fileJson(lock.file),
      longestWaitNowMs: round(lock.longestWaitNowMs),
      waits: rounded(lock.waits),
      holds: rounded(lock.holds),
      longestHold: notableJson(lock.longestHold),
      longestWait: notableJson(lock.longestWait),
      users: lock.users.map(rounded),
      convoys: lock.convoys.map(({ startMs, startedBy, ...convoy }) => ({
        start: isoTime(startMs),
        ...rounded(convoy),
        startedBy: startedBy === undefined ? null : processJson(startedBy),
      })),
    })),
    inversions: inversions.map(({ steps }) => ({
      steps: steps.map(({ process, held, wanted, atMs }) => ({
        process: processJson(process),
        held: heldJson(held),
        wanted: heldJson(wanted),
        at: isoTime(atMs),
      })),
    })),
  };
  return JSON.stringify(document) + "\n";
}

function fileJson({ path, pathStatus, major, minor, inode }: TracedFile) {
  const hasNeedle = inode !== 0n;
  return {
    path: path ?? null,
    pathStatus,
    device: hasNeedle ? `${major}:${minor}` : null,
    inode: hasNeedle ? String(inode) : null,
  };
}

function heldJson({ file, type, mode }: TracedLock) {
  return { file: fileJson(file), type, mode };
}

function processJson({ pid, command }: TracedProcess) {
  return { pid, command };
}

function notableJson(notable: NotableTime | undefined) {
  if (notable === undefined) return null;
  const { process, ms, atMs } = notable;
  return { process: processJson(process), ms: round(ms), at: isoTime(atMs) };
}

/** All times of an object to a microsecond. */
function rounded<T extends object>(object: T): T {
  return Object.fromEntries(
    Object.entries(object).map(([key, value]) => [
      key,
      typeof value === "number" ? round(value) : value,
    ]),
  ) as T;
}

function round(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
