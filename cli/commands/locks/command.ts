/**
 * `holdfast locks`: every lock, who holds it and who waits for it.
 *
 * @module
 */

import {
  confirmDeadlocks,
  type Deadlock,
  findDeadlocks,
} from "../../../lib/inspect/deadlock.ts";
import {
  type LockTable,
  readLockTable,
  type TableLock,
  type TableWaiter,
} from "../../../lib/inspect/lock_table.ts";
import { waitGraph } from "../../../lib/inspect/wait_graph.ts";
import { isLockUrl } from "../../../lib/lock/lock_path.ts";
import { parseDuration } from "../../args/duration.ts";
import { EXIT } from "../../ui/exit_codes.ts";
import {
  type Column,
  COLUMNS,
  findColumn,
  LSLOCKS_DEFAULT,
  parseColumns,
} from "./column.ts";
import type { RowTest } from "./filter.ts";
import { reportGaps } from "./gaps.ts";
import type { TraceTimes } from "../trace/times.ts";
import { type Row, type TimeSource, toRows } from "./row.ts";
import { readSelection, selectFrom, type Selection } from "./selection.ts";
import { formatTable, type TableLayout } from "./table.ts";
import { LOCKS_SPEC } from "./spec.ts";
import {
  type ParsedOptions,
  parseOptions,
  UsageError,
} from "../../args/parse.ts";
import { refuseEngineOptions } from "../../args/read_engine_options.ts";
import { writeError, writeOut } from "../../ui/output.ts";
import { isTerminal, styles, terminalSize } from "../../ui/terminal.ts";

/** Exit code of `--deadlocks` when there is one. */
const DEADLOCKED = 3;

/** Options that each give another view. */
const VIEWS = ["watch", "graph", "deadlocks", "html", "openmetrics"];

const DEFAULT_INTERVAL = "1s";
const MIN_INTERVAL_MS = 20;

/** Runs the subcommand and gives the exit code. */
export async function locksCommand(args: string[]): Promise<number> {
  const options = parseOptions(LOCKS_SPEC, withOptionalValues(args));
  if (options.flag("list-columns")) {
    const other = options.values.find(({ option }) =>
      option.long !== "list-columns"
    );
    if (other !== undefined) {
      throw new UsageError(
        `--list-columns can't go with --${other.option.long}`,
      );
    }
    writeOut(listColumns());
    return EXIT.OK;
  }
  if (options.operands.some(isLockUrl)) {
    return await (await import("./engines.ts")).locksInEngines(options);
  }
  refuseEngineOptions(options);
  const given = VIEWS.filter((name) => options.flag(name));
  if (given.length > 1) {
    throw new UsageError(
      `options '--${given[0]}' and '--${given[1]}' are incompatible`,
    );
  }
  const view = readView(options);
  const selection = await readSelection(options);
  using times = await openTimes(options);
  const timeOf = times &&
    ((entry: TableLock | TableWaiter) => times.timeOf(entry));
  const read = () => {
    const report = readReport(selection);
    // Whatever it has read the trace may have told.
    times?.update();
    return report;
  };

  const intervalMs = readInterval(options);
  if (intervalMs !== undefined) {
    const { watchChanges, watchTable } = await import("./watch.ts");
    const { WaitClock } = await import("./wait_clock.ts");
    const clock = new WaitClock();
    const readLines = () => {
      const report = read();
      clock.read(report.table);
      return tableLines(
        report,
        view,
        (entry) => timeOf?.(entry) ?? clock.timeOf(entry),
      );
    };
    await (options.flag("json")
      ? watchChanges(() => read().table, intervalMs)
      : watchTable(readLines, intervalMs));
    return EXIT.OK;
  }
  const report = read();
  const { table } = report;
  if (options.flag("deadlocks")) {
    return await reportDeadlocks(report, selection, options);
  }
  const graphFormat = options.value("graph");
  const htmlFile = options.value("html");
  if (graphFormat !== undefined) {
    const { drawGraph } = await import("./graph_text.ts");
    writeOut(drawGraph(waitGraph(table), report.deadlocks, graphFormat));
  } else if (htmlFile !== undefined) {
    const { writeLocksPage } = await import("./page/html.ts");
    writeLocksPage(htmlFile, table, report.deadlocks);
  } else if (options.flag("openmetrics")) {
    const { tableMetrics } = await import("./openmetrics.ts");
    writeOut(tableMetrics(table, timeOf));
  } else if (options.flag("json")) {
    const { tableJson } = await import("./json.ts");
    writePieces(tableJson(table, timeOf));
    return EXIT.OK;
  } else if (options.flag("lslocks-json")) {
    const { lslocksJson } = await import("./lslocks_json.ts");
    const layout = tableLayout(view, table.readAtMs);
    const rows = sortedRows(report, view, timeOf);
    writePieces(lslocksJson(rows, view.columns, layout));
  } else {
    const lines = tableLines(report, view, timeOf);
    if (table.locks.length > 0 || table.waiters.length > 0) {
      writePieces(lines.map((line) => `${line}\n`));
    } else if (view.headings && !options.flag("quiet")) {
      writeError("holdfast locks: no such lock is held now\n");
    }
  }
  if (!options.flag("quiet")) reportGaps(table, selection);
  return EXIT.OK;
}

/** The trace that knows since when, if one is named. */
async function openTimes(
  options: ParsedOptions,
): Promise<TraceTimes | undefined> {
  const path = options.value("trace");
  if (path === undefined) return undefined;
  const { TraceTimes } = await import("../trace/times.ts");
  return new TraceTimes(path);
}

/** What one reading has to say. */
interface Report {
  /** What was asked for. */
  table: LockTable;
  /** The rings that have to do with it. */
  deadlocks: Deadlock[];
}

/** A ring goes through files and processes that nobody asked for. */
function readReport(selection: Selection): Report {
  const whole = readLockTable();
  const table = selectFrom(whole, selection);
  const asked = new Set(table.waiters);
  const found = findDeadlocks(waitGraph(whole)).filter(({ edges }) =>
    edges.some(({ waiter }) => asked.has(waiter))
  );
  const deadlocks = found.length === 0
    ? found
    : confirmDeadlocks(found, findDeadlocks(waitGraph(readLockTable())));
  return { table: filterTable(table, deadlocks, selection.filter), deadlocks };
}

/** The part of a table whose rows are wanted. */
function filterTable(
  table: LockTable,
  deadlocks: readonly Deadlock[],
  filter: RowTest | undefined,
): LockTable {
  if (filter === undefined) return table;
  const wanted = new Set(
    toRows(table, deadlockedWaiters(deadlocks))
      .filter((row) => filter(row, table.readAtMs))
      .map(({ entry }) => entry),
  );
  return {
    ...table,
    locks: table.locks.filter((lock) => wanted.has(lock)),
    waiters: table.waiters.filter((waiter) => wanted.has(waiter)),
  };
}

function deadlockedWaiters(deadlocks: readonly Deadlock[]): Set<TableWaiter> {
  return new Set(
    deadlocks.flatMap(({ edges }) => edges.map(({ waiter }) => waiter)),
  );
}

/**
 * Lets `--watch` and `--graph` stand without a value, or before one that looks
 * like theirs.
 */
function withOptionalValues(args: readonly string[]): string[] {
  const result: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const word = args[i]!;
    if (word === "--") return [...result, ...args.slice(i)];
    const next = args[i + 1] ?? "";
    if (word === "--watch") {
      result.push(`--watch=${isInterval(next) ? next : DEFAULT_INTERVAL}`);
      if (isInterval(next)) i++;
    } else if (word === "--graph") {
      const isFormat = /^(text|dot|mermaid)$/.test(next);
      result.push(`--graph=${isFormat ? next : "text"}`);
      if (isFormat) i++;
    } else {
      result.push(word);
    }
  }
  return result;
}

function isInterval(word: string): boolean {
  return /^(\d+|\d*\.\d+)(ms|[smh])?$/.test(word);
}

function readInterval(options: ParsedOptions): number | undefined {
  const text = options.value("watch");
  if (text === undefined) return undefined;
  const intervalMs = isInterval(text) ? parseDuration(text) : NaN;
  if (Number.isNaN(intervalMs)) {
    throw new UsageError(`invalid interval: '${text}'`, {
      hint: "Write seconds, or a number with a unit: 2, 0.5, 500ms, 1m",
    });
  }
  if (intervalMs < MIN_INTERVAL_MS) {
    throw new UsageError(
      `interval too short: '${text}' (at least ${MIN_INTERVAL_MS}ms)`,
    );
  }
  return intervalMs;
}

/** How the table is to look. */
interface View {
  columns: readonly Column[];
  /** Whether the columns are the default ones, to be added to as needed. */
  isDefault: boolean;
  headings: boolean;
  raw: boolean;
  bytes: boolean;
  cut: boolean;
  sort: { column: Column; descending: boolean } | undefined;
}

function readView(options: ParsedOptions): View {
  const list = options.value("output");
  const sort = options.value("sort");
  const raw = options.flag("raw");
  return {
    columns: options.flag("output-all")
      ? COLUMNS
      : list === undefined
      ? LSLOCKS_DEFAULT
      : parseColumns(list),
    isDefault: list === undefined && !options.flag("output-all") && !raw &&
      !options.flag("lslocks-json"),
    headings: !options.flag("noheadings"),
    raw,
    bytes: options.flag("bytes"),
    cut: !options.flag("notruncate"),
    sort: sort === undefined ? undefined : {
      column: findColumn(sort.replace(/^[-+]/, "")),
      descending: sort.startsWith("-"),
    },
  };
}

function tableLayout(view: View, nowMs: number): TableLayout {
  const { headings, raw, bytes, cut } = view;
  return {
    headings,
    raw,
    bytes,
    width: cut && isTerminal("stdout")
      ? terminalSize("stdout").columns
      : Infinity,
    nowMs,
    styles: styles("stdout"),
  };
}

function sortedRows(
  { table, deadlocks }: Report,
  view: View,
  timeOf?: TimeSource,
): Row[] {
  const rows = toRows(table, deadlockedWaiters(deadlocks), timeOf);
  if (view.sort === undefined) return rows;
  const { column, descending } = view.sort;
  // Sizes and ages sort by what they are and not by how they are written.
  const style = { bytes: true, nowMs: table.readAtMs };
  const key = (row: Row) => {
    if (column.ms !== undefined) return column.ms(row, style) ?? "";
    const cell = column.cell(row, style);
    return typeof cell === "object" ? cell.join(" ") : cell ?? "";
  };
  const keyed = rows.map((row) => ({ row, key: key(row) }));
  keyed.sort((a, b) => compareKeys(a.key, b.key));
  if (descending) keyed.reverse();
  return keyed.map(({ row }) => row);
}

type SortKey = string | number | bigint | boolean;

function compareKeys(a: SortKey, b: SortKey): number {
  if (typeof a === "string" && typeof b === "string") {
    return a < b ? -1 : a > b ? 1 : 0;
  }
  // What isn't known comes first.
  if (typeof a === "string") return -1;
  if (typeof b === "string") return 1;
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Columns that are added before PATH when somebody waits. */
const WAIT_COLUMNS = ["WAITED", "BLOCKER"].map(findColumn);

function tableLines(
  report: Report,
  view: View,
  timeOf?: TimeSource,
): string[] {
  const { columns, isDefault } = view;
  const rows = sortedRows(report, view, timeOf);
  const shown = isDefault && report.table.waiters.length > 0
    ? [...columns.slice(0, -1), ...WAIT_COLUMNS, ...columns.slice(-1)]
    : columns;
  return formatTable(rows, shown, tableLayout(view, report.table.readAtMs));
}

function listColumns(): string {
  return COLUMNS.map(({ name, help }) => `${name.padEnd(12)} ${help}\n`)
    .join("");
}

async function reportDeadlocks(
  { table, deadlocks }: Report,
  selection: Selection,
  options: ParsedOptions,
): Promise<number> {
  const { deadlocksJson, describeDeadlocks } = await import(
    "./deadlock_report.ts"
  );
  writeOut(
    options.flag("json")
      ? deadlocksJson(table, deadlocks)
      : describeDeadlocks(deadlocks),
  );
  if (!options.flag("json") && !options.flag("quiet")) {
    reportGaps(table, selection);
  }
  return deadlocks.length > 0 ? DEADLOCKED : EXIT.OK;
}

const BATCH_CHARACTERS = 1 << 20;

/** Writes many small pieces in few calls. */
function writePieces(pieces: Iterable<string>): void {
  let batch = "";
  for (const piece of pieces) {
    batch += piece;
    if (batch.length >= BATCH_CHARACTERS) {
      writeOut(batch);
      batch = "";
    }
  }
  if (batch !== "") writeOut(batch);
}
