/**
 * Where a report has its events from.
 *
 * @module
 */

import { runBeforeOthers } from "../../../lib/sys/process/priority.ts";
import { LockError } from "../../../lib/sys/error.ts";
import type { TracedFile } from "../../../lib/trace/activity.ts";
import { TraceLineReader } from "../../../lib/trace/json.ts";
import type { ReportBuilder } from "../../../lib/trace/report/report.ts";
import { RunEventReader } from "../../../lib/trace/report/run_events.ts";
import { quotePath } from "../../../lib/proc/printable.ts";
import { statIfAny } from "../../../lib/sys/storage/names.ts";
import type { ParsedOptions } from "../../args/parse.ts";
import { Ending } from "../trace/ending.ts";
import { openSource } from "../trace/source.ts";
import { linesOf, parseJson } from "../../ui/json_lines.ts";

/** Whether something that happened to a file counts. */
export type FileWish = (file: TracedFile) => boolean;

/** Adds what happens from now on, until the time is over. */
export async function addLive(
  builder: ReportBuilder,
  options: ParsedOptions,
): Promise<void> {
  using ending = new Ending(options.value("for"), false);
  const paths = options.all("path");
  const source = await openSource(options, paths, ending.signal);
  // Without CPU it loses events.
  if (source.kind === "tracefs") runBeforeOthers();
  for await (const { activities, lost, untilMs } of source.batches) {
    for (const activity of activities) builder.add(activity);
    builder.lost(lost);
    builder.passed(untilMs);
  }
}

/**
 * Adds what files tell, one after another.
 *
 * @returns How many lines were not understood.
 * @throws {LockError} when a file has no line that is.
 */
export async function addFiles(
  builder: ReportBuilder,
  paths: readonly string[],
  isWanted: FileWish,
): Promise<number> {
  let unknown = 0;
  for (const path of paths) {
    const reader = new InputReader(builder, isWanted);
    using file = path === "-" ? undefined : Deno.openSync(path);
    const { readable } = file ?? Deno.stdin;
    for await (const line of linesOf(readable)) reader.read(line);
    reader.finish();
    unknown += reader.unknown;
    if (reader.known === 0 && reader.unknown > 0) {
      throw new LockError(
        `Cannot report on ${quotePath(path)}: it has no events of ` +
          "`holdfast trace` or `holdfast run --json-events`",
      );
    }
  }
  return unknown;
}

/** Reads the lines of one file, of whatever kind each is. */
class InputReader {
  known = 0;
  unknown = 0;
  readonly #builder: ReportBuilder;
  readonly #isWanted: FileWish;
  readonly #trace = new TraceLineReader();
  readonly #runs = new RunEventReader();

  constructor(builder: ReportBuilder, isWanted: FileWish) {
    this.#builder = builder;
    this.#isWanted = isWanted;
  }

  read(text: string): void {
    if (text === "") return;
    const line = parseJson(text);
    const runEvents = this.#runs.read(line);
    if (runEvents !== undefined) {
      this.known++;
      for (const activity of runEvents) this.#add(activity);
      return;
    }
    const told = this.#trace.read(line);
    if (told === undefined) {
      this.unknown++;
      return;
    }
    this.known++;
    switch (told.event) {
      case "lost":
        return this.#builder.lost(told.count);
      case "trace-started":
      case "trace-ended":
        return this.#builder.passed(told.timeMs);
      default:
        this.#add(told);
    }
  }

  finish(): void {
    const isAlive = (pid: number) => statIfAny(`/proc/${pid}`) !== undefined;
    for (const activity of this.#runs.finish(isAlive, Date.now())) {
      this.#add(activity);
    }
  }

  #add(activity: Parameters<ReportBuilder["add"]>[0]): void {
    if (this.#isWanted(activity.file)) this.#builder.add(activity);
  }
}
