/**
 * Since when locks are held and waited for, as a running trace knows it.
 *
 * @module
 */

import type {
  TableLock,
  TableWaiter,
} from "../../../lib/inspect/lock_table.ts";
import { quotePath } from "../../../lib/proc/printable.ts";
import { LockError } from "../../../lib/sys/error.ts";
import { statIfAny } from "../../../lib/sys/storage/names.ts";
import { fileKey, type LockActivity } from "../../../lib/trace/activity.ts";
import { TraceLineReader, type TraceNote } from "../../../lib/trace/json.ts";
import { OpenHolds } from "../../../lib/trace/report/open_holds.ts";
import { parseJson } from "../../ui/json_lines.ts";
import type { KnownTime } from "../locks/row.ts";

/** Follows the file that `holdfast trace -o` writes. */
export class TraceTimes implements Disposable {
  readonly #path: string;
  readonly #file: Deno.FsFile;
  readonly #reader = new TraceLineReader();
  readonly #decoder = new TextDecoder();
  readonly #buffer = new Uint8Array(1 << 16);
  readonly #holds = new Map<string, OpenHolds>();
  readonly #waits = new Map<string, number>();
  #rest = "";
  #tracer: number | undefined;
  #hasEnded = false;

  /** @param path The file. */
  constructor(path: string) {
    this.#path = path;
    this.#file = Deno.openSync(path);
  }

  /**
   * Reads what has been written since the last time.
   *
   * @throws {LockError} when it is no trace, or one that has ended: it doesn't
   * know what happened since.
   */
  update(): void {
    for (;;) {
      const length = this.#file.readSync(this.#buffer);
      if (length === null) break;
      const bytes = this.#buffer.subarray(0, length);
      const text = this.#decoder.decode(bytes, { stream: true });
      const lines = (this.#rest + text).split("\n");
      this.#rest = lines.pop()!;
      for (const line of lines) {
        const said = this.#reader.read(parseJson(line));
        if (said !== undefined) this.#add(said);
      }
    }
    const reason = this.#whyNot();
    if (reason === undefined) return;
    throw new LockError(
      `Cannot take times from ${quotePath(this.#path)}: ${reason}; start ` +
        "`holdfast trace -o FILE` and leave it running",
    );
  }

  /** Closes the file. */
  [Symbol.dispose](): void {
    this.#file.close();
  }

  #add(said: LockActivity | TraceNote): void {
    switch (said.event) {
      case "trace-started":
        this.#tracer = said.pid;
        this.#hasEnded = false;
        return;
      case "trace-ended":
        this.#hasEnded = true;
        return;
      case "lost":
        return;
      default:
        this.#follow(said);
    }
  }

  #follow(activity: LockActivity): void {
    const { event, process, timeMs } = activity;
    const key = `${fileKey(activity.file)} ${activity.type}`;
    const wait = `${key} ${process.pid}`;
    switch (event) {
      case "waiting":
        this.#waits.set(wait, timeMs);
        return;
      case "gave-up":
        this.#waits.delete(wait);
        return;
      case "held":
      case "acquired": {
        this.#waits.delete(wait);
        const holds = this.#holds.get(key) ?? new OpenHolds();
        this.#holds.set(key, holds);
        return holds.open(activity);
      }
      case "released": {
        const holds = this.#holds.get(key);
        holds?.close(activity);
        if (holds?.all.length === 0) this.#holds.delete(key);
      }
    }
  }

  #whyNot(): string | undefined {
    if (this.#tracer === undefined) return "it is no trace";
    if (this.#hasEnded || statIfAny(`/proc/${this.#tracer}`) === undefined) {
      return "that trace has ended, and what came after it isn't known";
    }
    return undefined;
  }

  /** Since when it knows of a lock or a wait. */
  timeOf(entry: TableLock | TableWaiter): KnownTime | undefined {
    const { major, minor, inode } = entry.file;
    if (major === undefined || minor === undefined) return undefined;
    const name = fileKey({
      major,
      minor,
      inode,
      path: undefined,
      pathStatus: "unknown",
    });
    const key = `${name} ${entry.type}`;
    const sinceMs = "blockers" in entry
      ? this.#waits.get(`${key} ${entry.process?.pid}`)
      : this.#heldSince(key, entry);
    return sinceMs === undefined ? undefined : { sinceMs, from: "trace" };
  }

  #heldSince(key: string, lock: TableLock): number | undefined {
    const alike =
      this.#holds.get(key)?.all.filter((hold) =>
        hold.mode === lock.mode && hold.startByte === lock.startByte &&
        hold.endByte === lock.endByte
      ) ?? [];
    const pids = [
      lock.takerPid,
      ...lock.holders.map(({ process }) => process?.pid),
    ];
    const found = alike.find(({ process }) => pids.includes(process.pid)) ??
      (alike.length === 1 ? alike[0] : undefined);
    return found === undefined || found.isOlder ? undefined : found.sinceMs;
  }
}
