/**
 * `holdfast report`: what happened to locks, summed up.
 *
 * @module
 */

import { printable } from "../../../lib/proc/printable.ts";
import { reportJson } from "../../../lib/trace/report/json.ts";
import { ReportBuilder } from "../../../lib/trace/report/report.ts";
import { parseDuration } from "../../args/duration.ts";
import { type FileTest, operandTest } from "../../args/file_selection.ts";
import {
  type ParsedOptions,
  parseOptions,
  UsageError,
} from "../../args/parse.ts";
import { EXIT } from "../../ui/exit_codes.ts";
import { writeError, writeOut } from "../../ui/output.ts";
import { styles } from "../../ui/terminal.ts";
import { withPollInterval } from "../trace/source.ts";
import { addFiles, addLive } from "./input.ts";
import { REPORT_SPEC } from "./spec.ts";
import { formatReport } from "./text.ts";

/** Options that each give the report another form. */
const FORMS = ["json", "html", "openmetrics"];

const DEFAULT_TOP = 20;

/** Runs the subcommand and gives the exit code. */
export async function reportCommand(args: string[]): Promise<number> {
  const options = parseOptions(REPORT_SPEC, withPollInterval(args));
  const given = FORMS.filter((name) => options.flag(name));
  if (given.length > 1) {
    throw new UsageError(
      `options '--${given[0]}' and '--${given[1]}' are incompatible`,
    );
  }
  const top = readTop(options);
  const htmlFile = options.value("html");
  const builder = new ReportBuilder({
    timeline: htmlFile !== undefined,
    fromMs: readSince(options.value("since")),
  });
  await addEvents(builder, options);
  const report = builder.finish();
  if (htmlFile !== undefined) {
    const { writeReportPage } = await import("./html.ts");
    writeReportPage(htmlFile, report, builder.timeline(report));
  } else if (options.flag("openmetrics")) {
    const { reportMetrics } = await import("./openmetrics.ts");
    writeOut(reportMetrics(report));
  } else if (options.flag("json")) {
    writeOut(reportJson(report));
  } else {
    const lines = formatReport(report, top, styles("stdout"));
    writeOut(lines.map((line) => `${line}\n`).join(""));
  }
  if (report.lost > 0) {
    writeError(
      `holdfast report: ${report.lost} events were lost: numbers are too ` +
        "small, and some times are missing\n",
    );
  }
  return EXIT.OK;
}

async function addEvents(
  builder: ReportBuilder,
  options: ParsedOptions,
): Promise<void> {
  const files = [...options.operands, ...options.afterDashes ?? []];
  const isLive = options.flag("for");
  if (isLive && files.length > 0) {
    throw new UsageError("--for can't go with a file: it traces now");
  }
  if (isLive) return await addLive(builder, options);
  for (const name of ["pid", "buffer", "poll"]) {
    if (options.flag(name)) throw new UsageError(`--${name} goes with --for`);
  }
  const paths = files.length > 0 ? files : await historyFiles();
  const unknown = await addFiles(builder, paths, await fileWish(options));
  if (unknown > 0) {
    writeError(
      `holdfast report: ${unknown} lines could not be understood and are ` +
        "left out\n",
    );
  }
}

async function historyFiles(): Promise<string[]> {
  const { environmentVariable } = await import(
    "../../../lib/sys/process/environment.ts"
  );
  const history = environmentVariable("HOLDFAST_EVENTS");
  if (history === undefined) {
    throw new UsageError("missing file", {
      hint: "Name a trace, trace now with --for, or set HOLDFAST_EVENTS to " +
        "the file or directory that runs append to",
    });
  }
  const { listHistory } = await import("../../../lib/trace/history.ts");
  return listHistory(history);
}

async function fileWish(
  options: ParsedOptions,
): Promise<(file: Parameters<FileTest>[0]) => boolean> {
  const tests: FileTest[] = [];
  for (const path of options.all("path")) tests.push(await operandTest(path));
  if (tests.length === 0) return () => true;
  const names = options.all("path");
  return (file) =>
    tests.some((test) => test(file)) ||
    // Runs tell paths and no needles.
    file.path !== undefined && names.includes(file.path);
}

function readTop(options: ParsedOptions): number {
  const text = options.value("top");
  if (text === undefined) return DEFAULT_TOP;
  const top = Number(text);
  if (/^\d+$/.test(text) && top > 0) return top;
  throw new UsageError(`invalid number of locks: '${printable(text)}'`);
}

/** A time, or so long ago. */
function readSince(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const time = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : NaN;
  return Number.isNaN(time) ? Date.now() - parseDuration(text) : time;
}
