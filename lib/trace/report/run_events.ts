/**
 * What `holdfast run` tells of itself, read as what happens to locks.
 *
 * @module
 */

import type {
  AlsoHeldLock,
  LockActivity,
  LockEventName,
  TracedFile,
  TracedProcess,
} from "../activity.ts";
import { parseIsoTime } from "../json.ts";

interface RunLine {
  event: string;
  time: string;
  locks: string[];
  run?: unknown;
  pid?: unknown;
  path?: unknown;
  kind?: unknown;
  mode?: unknown;
  command?: unknown;
  holder?: unknown;
  waitMs?: unknown;
  holdMs?: unknown;
  ancestors?: unknown;
}

/** One run that has not ended yet. */
interface OpenRun {
  process: TracedProcess;
  /** The locks that it waited for. */
  waited: Set<string>;
  /** Its locks, once it has them. */
  held: LockActivity[];
  /** The process id of its command, once that runs. */
  commandPid: number | undefined;
}

/** What the kinds of `run` are called in a report. */
const TYPES: Readonly<Record<string, string>> = { ofd: "OFDLCK" };

/** Reads the lines of many runs, which may be mixed. */
export class RunEventReader {
  readonly #runs = new Map<string, OpenRun>();
  readonly #files = new Map<string, TracedFile>();
  /** Those that hold their locks, by the process id of their command. */
  readonly #byCommand = new Map<number, OpenRun>();
  /** The same by a lock that nobody else can hold. */
  readonly #byLock = new Map<string, OpenRun>();

  /**
   * Reads a parsed line.
   *
   * @param line What `JSON.parse` gave.
   * @returns What happened; `undefined` when it is no line of a run.
   */
  read(line: unknown): LockActivity[] | undefined {
    if (!isRunLine(line)) return undefined;
    const timeMs = parseIsoTime(line.time);
    if (Number.isNaN(timeMs)) return undefined;
    const key = String(line.run ?? line.locks.join(":"));
    const run = this.#run(key, line);
    const waitedMs = toNumber(line.waitMs);
    switch (line.event) {
      case "waiting": {
        const path = typeof line.path === "string" ? line.path : line.locks[0]!;
        if (run.waited.has(path)) return [];
        run.waited.add(path);
        const more = { alsoHeld: this.#heldBy(line, path) };
        return [this.#activity("waiting", path, line, run, timeMs, more)];
      }
      case "acquired":
        run.held = line.locks.map((path) =>
          this.#activity("acquired", path, line, run, timeMs, {
            waitedMs: run.waited.has(path) ? waitedMs : undefined,
            alsoHeld: this.#heldBy(line, path),
          })
        );
        run.waited.clear();
        this.#expel(run);
        return run.held;
      case "started": {
        const pid = toNumber(line.pid);
        if (pid === undefined) return [];
        run.commandPid = pid;
        this.#byCommand.set(pid, run);
        return [];
      }
      case "timeout": {
        this.#end(key, run);
        const gaveUp = [...run.waited].map((path) =>
          this.#activity("gave-up", path, line, run, timeMs, {
            waitedMs,
            reason: "timeout",
          })
        );
        if (gaveUp.length > 0) return gaveUp;
        return line.locks.map((path) =>
          this.#activity("refused", path, line, run, timeMs, {
            reason: "EAGAIN",
          })
        );
      }
      case "released": {
        this.#end(key, run);
        const heldMs = toNumber(line.holdMs);
        return run.held.map((held) => ({
          ...held,
          event: "released",
          timeMs,
          waitedMs: undefined,
          alsoHeld: undefined,
          heldMs,
        }));
      }
    }
    return [];
  }

  /**
   * The ends of runs that were never told: their process is gone.
   *
   * @param isAlive Whether a process still lives.
   * @param timeMs When this is found out, in milliseconds since 1970.
   */
  finish(isAlive: (pid: number) => boolean, timeMs: number): LockActivity[] {
    const ended = [...this.#runs.values()]
      .filter(({ process }) => !isAlive(process.pid));
    this.#runs.clear();
    return ended.flatMap(({ held }) =>
      held.map((activity) => ({
        ...activity,
        event: "released" as const,
        timeMs,
        waitedMs: undefined,
        alsoHeld: undefined,
        reason: "unseen",
      }))
    );
  }

  /** What the runs hold besides under which this one is. */
  #heldBy(
    { holder, ancestors }: RunLine,
    wanted: string,
  ): AlsoHeldLock[] | undefined {
    if (!Array.isArray(ancestors)) return undefined;
    const held: AlsoHeldLock[] = [];
    // A run may be the command of another.
    for (const pid of [holder, ...ancestors]) {
      const run = this.#byCommand.get(pid);
      for (const lock of run?.held ?? []) {
        if (lock.file.path === wanted) continue;
        const { file, type, mode, startByte, endByte, process } = lock;
        const holderPid = process.pid;
        held.push({ file, type, mode, startByte, endByte, holderPid });
      }
    }
    return held.length > 0 ? held : undefined;
  }

  /** A run that was killed could not tell that its locks are gone. */
  #expel(run: OpenRun): void {
    for (const { file, type, mode } of run.held) {
      if (mode === "READ" || type === "SLOTS") continue;
      const lock = `${type} ${file.path}`;
      const before = this.#byLock.get(lock);
      if (before !== undefined && before !== run) this.#forget(before);
      this.#byLock.set(lock, run);
    }
  }

  #end(key: string, run: OpenRun): void {
    this.#runs.delete(key);
    this.#forget(run);
    for (const { file, type } of run.held) {
      const lock = `${type} ${file.path}`;
      if (this.#byLock.get(lock) === run) this.#byLock.delete(lock);
    }
  }

  #forget(run: OpenRun): void {
    const { commandPid } = run;
    if (commandPid === undefined) return;
    if (this.#byCommand.get(commandPid) !== run) return;
    this.#byCommand.delete(commandPid);
  }

  #run(key: string, { holder, command }: RunLine): OpenRun {
    let run = this.#runs.get(key);
    if (run === undefined) {
      const words = Array.isArray(command) ? command.map(String) : ["(run)"];
      const process = {
        pid: typeof holder === "number" ? holder : 0,
        command: words.join(" "),
      };
      run = { process, waited: new Set(), held: [], commandPid: undefined };
      this.#runs.set(key, run);
    }
    return run;
  }

  #activity(
    event: LockEventName,
    path: string,
    { kind, mode }: RunLine,
    { process }: OpenRun,
    timeMs: number,
    more: Partial<LockActivity>,
  ): LockActivity {
    const word = typeof kind === "string" ? kind : "flock";
    return {
      event,
      timeMs,
      file: this.#file(path),
      type: TYPES[word] ?? word.toUpperCase(),
      mode: mode === "shared" ? "READ" : "WRITE",
      startByte: 0n,
      endByte: undefined,
      process,
      threadId: process.pid,
      canWait: true,
      ...more,
    };
  }

  /** Without a needle: the lines tell paths only. */
  #file(path: string): TracedFile {
    let file = this.#files.get(path);
    if (file === undefined) {
      file = { major: 0, minor: 0, inode: 0n, path, pathStatus: "here" };
      this.#files.set(path, file);
    }
    return file;
  }
}

function isRunLine(line: unknown): line is RunLine {
  if (typeof line !== "object" || line === null) return false;
  return "locks" in line && Array.isArray(line.locks) &&
    line.locks.every((path) => typeof path === "string") &&
    "event" in line && typeof line.event === "string" &&
    "time" in line && typeof line.time === "string";
}

function toNumber(value: unknown): number | undefined {
  return typeof value === "number" ? value : undefined;
}
