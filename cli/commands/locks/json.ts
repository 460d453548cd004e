/**
 * The JSON document of `holdfast locks --json`, schema 1: keys never go away,
 * what isn't known is null, and inodes, offsets and sizes are decimal strings.
 *
 * @module
 */

import type { LockedFile } from "../../../lib/inspect/locked_path.ts";
import type {
  LockTable,
  TableHolder,
  TableLock,
  TableRange,
  TableWaiter,
} from "../../../lib/inspect/lock_table.ts";
import type { ProcessInfo } from "../../../lib/sys/process/process_info.ts";
import type { TimeSource } from "./row.ts";

/** Version of the document's form. */
export const SCHEMA = 1;

/**
 * The whole document in pieces: a hundred thousand locks make a text that
 * should not be in memory at once. Files and processes are written once and
 * repeated.
 */
export function* tableJson(
  table: LockTable,
  timeOf?: TimeSource,
): Generator<string> {
  const writer = new JsonWriter(table.readAtMs, timeOf);
  const { readAtMs, unreadablePids, unnamedFiles, unparsedLines } = table;
  yield `{"schema":${SCHEMA},"readAt":"${new Date(readAtMs).toISOString()}",` +
    `"unreadableProcesses":${unreadablePids.length},` +
    `"unnamedFiles":${unnamedFiles},"unparsedLines":${unparsedLines},` +
    '"locks":[';
  let separator = "\n";
  for (const lock of table.locks) {
    yield separator + writer.lock(lock);
    separator = ",\n";
  }
  yield '],"waiters":[';
  separator = "\n";
  for (const waiter of table.waiters) {
    yield separator + writer.waiter(waiter);
    separator = ",\n";
  }
  yield "]}\n";
}

/** Writes locks and waiters, remembering what they share. */
export class JsonWriter {
  readonly #readAtMs: number;
  readonly #timeOf: TimeSource;
  #lastFile: LockedFile | undefined;
  #lastFileText = "";
  readonly #processes = new Map<ProcessInfo | undefined, string>();

  /**
   * @param readAtMs When the table was read, in milliseconds since 1970.
   * @param timeOf Since when something is so, where that is known exactly.
   */
  constructor(readAtMs: number, timeOf: TimeSource = () => undefined) {
    this.#readAtMs = readAtMs;
    this.#timeOf = timeOf;
  }

  /** A lock. */
  lock(lock: TableLock): string {
    const holders = lock.holders.map((holder) => this.#holder(holder));
    return `{"id":${lock.id},${this.#range(lock)},` +
      `"takerPid":${lock.takerPid ?? null},"listed":${lock.listed},` +
      `"heldSince":${this.#since(lock)},` +
      `"holders":[${holders.join(",")}]}`;
  }

  /** A waiter. */
  waiter(waiter: TableWaiter): string {
    const { id, process, blockers } = waiter;
    const pids = new Set(
      blockers.flatMap(({ holders }) =>
        holders.map(({ process }) => process?.pid ?? null)
      ),
    );
    return `{"id":${id},${this.#range(waiter)},` +
      `"process":${this.process(process)},` +
      `"waitedAtMostMs":${this.#age(process) ?? null},` +
      `"waitingSince":${this.#since(waiter)},` +
      `"blockers":${JSON.stringify(blockers.map((lock) => lock.id))},` +
      `"blockerPids":${JSON.stringify([...pids])}}`;
  }

  /** Only a trace knows. */
  #since(entry: TableLock | TableWaiter): string {
    const time = this.#timeOf(entry);
    return time === undefined
      ? "null"
      : `"${new Date(time.sinceMs).toISOString()}"`;
  }

  /** The kernel doesn't say since when it waits; no longer than it lives. */
  #age(process: ProcessInfo | undefined): number | undefined {
    return process?.startTimeMs === undefined
      ? undefined
      : Math.max(0, this.#readAtMs - process.startTimeMs);
  }

  /** A process, or null. */
  process(process: ProcessInfo | undefined): string {
    let text = this.#processes.get(process);
    if (text === undefined) {
      text = JSON.stringify(
        process === undefined ? null : {
          pid: process.pid,
          name: process.name ?? null,
          command: process.command,
          user: process.user ?? null,
          alive: process.alive,
          startTime: process.startTimeMs === undefined
            ? null
            : new Date(process.startTimeMs).toISOString(),
        },
      );
      this.#processes.set(process, text);
    }
    return text;
  }

  /** A file. */
  file(file: LockedFile): string {
    // The locks of one file mostly follow each other; a hundred thousand
    // files would not be remembered cheaply.
    if (file !== this.#lastFile) {
      this.#lastFile = file;
      this.#lastFileText = JSON.stringify({
        path: file.path ?? null,
        pathStatus: file.pathStatus,
        device: file.major === undefined ? null : `${file.major}:${file.minor}`,
        inode: file.major === undefined ? null : String(file.inode),
        sizeBytes: file.sizeBytes === undefined ? null : String(file.sizeBytes),
        fsType: file.fsType ?? null,
        mountPoint: file.mountPoint ?? null,
      });
    }
    return this.#lastFileText;
  }

  #holder({ process, fds, sources }: TableHolder): string {
    return `{"process":${this.process(process)},"fds":[${fds.join(",")}],` +
      `"sources":["${sources.join('","')}"]}`;
  }

  #range(range: TableRange): string {
    const { type, enforcement, mode, startByte, endByte, file } = range;
    const end = endByte === undefined ? "null" : `"${endByte}"`;
    return `"type":${JSON.stringify(type)},` +
      `"enforcement":${JSON.stringify(enforcement)},` +
      `"mode":${JSON.stringify(mode)},` +
      `"startByte":"${startByte}","endByte":${end},` +
      `"file":${this.file(file)}`;
  }
}
