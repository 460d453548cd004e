/**
 * The lines of `holdfast trace`: one JSON object each, schema 1. Keys never go
 * away, what isn't known is null, and inodes and offsets are decimal strings.
 *
 * @module
 */

import type { PathStatus } from "../inspect/locked_path.ts";
import type {
  LockActivity,
  LockEventName,
  TracedFile,
  TracedLock,
  TracedMode,
  TracedProcess,
  TracedType,
} from "./activity.ts";

/** Version of the lines' form. */
export const TRACE_SCHEMA = 1;

/** How locks are looked at. */
export type TraceSource = "tracefs" | "poll";

/** What a line says that is not about a lock. */
export type TraceNote =
  | {
    event: "trace-started";
    timeMs: number;
    source: TraceSource;
    /** The tracer's process id. */
    pid: number;
  }
  | { event: "lost"; timeMs: number; count: number }
  | { event: "trace-ended"; timeMs: number; received: number; lost: number };

/** Of a line, what a process often says again: all but time and outcome. */
interface Subject {
  readonly activity: LockActivity;
  readonly command: string;
  readonly path: string | undefined;
  readonly text: string;
}

/** Writes lines, remembering what they share. */
export class TraceLineWriter {
  readonly #files = new WeakMap<TracedFile, { path?: string; text: string }>();
  readonly #subjects = new WeakMap<TracedProcess, Subject>();

  /** A line about a lock. */
  activity(activity: LockActivity): string {
    const holders = activity.holders?.map((holding) =>
      `{"process":${processJson(holding.process)},` +
      `"heldMs":${number(holding.heldMs)}}`
    );
    const alsoHeld = activity.alsoHeld?.map((held) =>
      `{"type":"${held.type}","mode":"${held.mode}",${span(held)},` +
      `"holderPid":${number(held.holderPid)},` +
      `"file":${this.#file(held.file)}}`
    );
    return `{"schema":${TRACE_SCHEMA},"event":"${activity.event}",` +
      `"time":"${isoTime(activity.timeMs)}",${this.#subject(activity)},` +
      `"canWait":${activity.canWait},` +
      `"waitedMs":${number(activity.waitedMs)},` +
      `"heldMs":${number(activity.heldMs)},` +
      `"holders":${holders === undefined ? "null" : `[${holders}]`},` +
      `"alsoHeld":${alsoHeld === undefined ? "[]" : `[${alsoHeld}]`},` +
      `"reason":${JSON.stringify(activity.reason ?? null)}}\n`;
  }

  #subject(activity: LockActivity): string {
    const { type, mode, file, process } = activity;
    const known = this.#subjects.get(process);
    if (known !== undefined && isSameSubject(known, activity)) {
      return known.text;
    }
    const text = `"type":"${type}","mode":"${mode}",${span(activity)},` +
      `"file":${this.#file(file)},` +
      `"process":${processJson(process)},"threadId":${activity.threadId}`;
    const { command } = process;
    this.#subjects.set(process, { activity, command, path: file.path, text });
    return text;
  }

  /** A line about the trace itself. */
  note({ event, timeMs, ...rest }: TraceNote): string {
    const time = isoTime(timeMs);
    const line = { schema: TRACE_SCHEMA, event, time, ...rest };
    return JSON.stringify(line) + "\n";
  }

  #file(file: TracedFile): string {
    const known = this.#files.get(file);
    if (known !== undefined && known.path === file.path) return known.text;
    const text = JSON.stringify({
      path: file.path ?? null,
      pathStatus: file.pathStatus,
      device: `${file.major}:${file.minor}`,
      inode: String(file.inode),
    });
    const { path } = file;
    this.#files.set(file, path === undefined ? { text } : { path, text });
    return text;
  }
}

function isSameSubject(
  { activity, command, path }: Subject,
  { type, mode, file, process, threadId, startByte, endByte }: LockActivity,
): boolean {
  return activity.file === file && file.path === path &&
    activity.mode === mode && activity.threadId === threadId &&
    process.command === command && activity.type === type &&
    activity.startByte === startByte && activity.endByte === endByte;
}

function span({ startByte, endByte }: TracedLock): string {
  const end = endByte === undefined ? "null" : `"${endByte}"`;
  return `"startByte":"${startByte}","endByte":${end}`;
}

function processJson({ pid, command }: TracedProcess): string {
  return `{"pid":${pid},"command":${JSON.stringify(command)}}`;
}

/** Microseconds are as fine as a time since 1970 can be in a double. */
function number(ms: number | undefined): string {
  return ms === undefined ? "null" : String(Math.round(ms * 1000) / 1000);
}

/** The last second whose text was made. */
let lastSecond = { second: NaN, text: "" };

/** A time with microseconds. */
export function isoTime(timeMs: number): string {
  const second = Math.floor(timeMs / 1000);
  if (second !== lastSecond.second) {
    const text = new Date(second * 1000).toISOString().slice(0, -4);
    lastSecond = { second, text };
  }
  const micros = Math.floor((timeMs - second * 1000) * 1000);
  return `${lastSecond.text}${String(micros).padStart(6, "0")}Z`;
}

/** Reads lines, with one object for all that is said of a file or process. */
export class TraceLineReader {
  readonly #files = new Map<string, MutableFile>();
  readonly #processes = new Map<string, TracedProcess>();

  /**
   * Reads a parsed line.
   *
   * @param line What `JSON.parse` gave.
   * @returns What it says, or `undefined` when it is no line of a trace.
   */
  read(line: unknown): LockActivity | TraceNote | undefined {
    if (!isRecord(line) || line.schema !== TRACE_SCHEMA) return undefined;
    const timeMs = parseIsoTime(line.time);
    if (Number.isNaN(timeMs)) return undefined;
    switch (line.event) {
      case "trace-started": {
        const source = line.source === "poll" ? "poll" : "tracefs";
        const pid = Number(line.pid);
        return { event: "trace-started", timeMs, source, pid };
      }
      case "lost":
        return { event: "lost", timeMs, count: Number(line.count) };
      case "trace-ended": {
        const [received, lost] = [Number(line.received), Number(line.lost)];
        return { event: "trace-ended", timeMs, received, lost };
      }
    }
    return this.#readActivity(line, timeMs);
  }

  #readActivity(
    line: Record<string, unknown>,
    timeMs: number,
  ): LockActivity | undefined {
    const { event, type, mode, startByte, endByte } = line;
    const file = this.#file(line.file);
    const process = this.#process(line.process);
    if (!isEventName(event) || file === undefined || process === undefined) {
      return undefined;
    }
    return {
      event,
      timeMs,
      file,
      type: type as TracedType,
      mode: mode as TracedMode,
      startByte: toBigInt(startByte) ?? 0n,
      endByte: toBigInt(endByte),
      process,
      threadId: Number(line.threadId),
      canWait: line.canWait === true,
      waitedMs: toNumber(line.waitedMs),
      heldMs: toNumber(line.heldMs),
      holders: list(line.holders, (holding) => {
        const process = this.#process(holding.process);
        return process && { process, heldMs: toNumber(holding.heldMs) };
      }),
      alsoHeld: list(line.alsoHeld, (held) => {
        const file = this.#file(held.file);
        return file && {
          file,
          type: held.type as TracedType,
          mode: held.mode as TracedMode,
          startByte: toBigInt(held.startByte) ?? 0n,
          endByte: toBigInt(held.endByte),
          holderPid: toNumber(held.holderPid),
        };
      }),
      reason: typeof line.reason === "string" ? line.reason : undefined,
    };
  }

  #file(value: unknown): TracedFile | undefined {
    if (!isRecord(value)) return undefined;
    const key = `${value.device}:${value.inode}`;
    const [major, minor] = String(value.device).split(":").map(Number);
    const inode = toBigInt(value.inode);
    if (inode === undefined || major === undefined || minor === undefined) {
      return undefined;
    }
    let file = this.#files.get(key);
    if (file === undefined) {
      file = { major, minor, inode, path: undefined, pathStatus: "unknown" };
      this.#files.set(key, file);
    }
    if (typeof value.path === "string") {
      file.path = value.path;
      file.pathStatus = value.pathStatus as PathStatus;
    }
    return file;
  }

  #process(value: unknown): TracedProcess | undefined {
    if (!isRecord(value) || typeof value.pid !== "number") return undefined;
    const { pid } = value;
    const command = String(value.command);
    const key = `${pid} ${command}`;
    let process = this.#processes.get(key);
    if (process === undefined) {
      this.#processes.set(key, process = { pid, command });
    }
    return process;
  }
}

interface MutableFile extends TracedFile {
  path: string | undefined;
  pathStatus: PathStatus;
}

const EVENT_NAMES: Readonly<Record<LockEventName, true>> = {
  held: true,
  waiting: true,
  acquired: true,
  refused: true,
  released: true,
  "gave-up": true,
  breaking: true,
  broken: true,
};

function isEventName(value: unknown): value is LockEventName {
  return typeof value === "string" && Object.hasOwn(EVENT_NAMES, value);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function list<T>(
  value: unknown,
  read: (item: Record<string, unknown>) => T | undefined,
): T[] | undefined {
  if (!Array.isArray(value)) return undefined;
  return value.filter(isRecord).map(read).filter((item) => item !== undefined);
}

function toNumber(value: unknown): number | undefined {
  return typeof value === "number" ? value : undefined;
}

function toBigInt(value: unknown): bigint | undefined {
  return typeof value === "string" && /^\d+$/.test(value)
    ? BigInt(value)
    : undefined;
}

/** Milliseconds with the microseconds that `Date.parse` leaves out. */
export function parseIsoTime(value: unknown): number {
  if (typeof value !== "string") return NaN;
  const micros = /\.\d{3}(\d{3})/.exec(value)?.[1];
  return Date.parse(value) + Number(micros ?? 0) / 1000;
}
