/**
 * A report for people.
 *
 * @module
 */

import { printable } from "../../../lib/proc/printable.ts";
import { fileKey, type TracedFile } from "../../../lib/trace/activity.ts";
import type {
  LockInversion,
  OrderStep,
} from "../../../lib/trace/report/lock_order.ts";
import type { LockReport } from "../../../lib/trace/report/lock_stats.ts";
import type { TraceReport } from "../../../lib/trace/report/report.ts";
import { formatDuration } from "../../args/duration.ts";
import { type Styles, textColumns } from "../../ui/terminal.ts";

/** A file for people. */
export function fileName(file: TracedFile): string {
  const deleted = file.pathStatus === "deleted" ? " (deleted)" : "";
  return file.path === undefined
    ? fileKey(file)
    : printable(file.path) + deleted;
}

/** A time of day with its date, here. */
export function localTime(ms: number): string {
  const two = (value: number) => String(value).padStart(2, "0");
  const date = new Date(ms);
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-` +
    `${two(date.getDate())} ${two(date.getHours())}:` +
    `${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** The whole report as lines. */
export function formatReport(
  report: TraceReport,
  top: number,
  styles: Styles,
): string[] {
  const { fromMs, untilMs, activities, lost, locks, inversions } = report;
  if (fromMs === undefined || untilMs === undefined) {
    return ["Nothing happened."];
  }
  const shown = locks.slice(0, top);
  const more = locks.length - shown.length;
  return [
    `${localTime(fromMs)} to ${localTime(untilMs)}, ` +
    `${formatDuration(untilMs - fromMs)}: ${count(activities, "event")} on ` +
    count(locks.length, "lock") +
    (lost > 0 ? styles.red(`, ${lost} more were lost`) : ""),
    ...(shown.length > 0 ? ["", ...table(shown, styles)] : []),
    ...(more > 0 ? [`… and ${more} more; --top lists them`] : []),
    ...section("Who made others wait", shown.flatMap(culprits), styles),
    ...section("Convoys", shown.flatMap(convoys), styles),
    ...section(
      "Locks taken in clashing orders: a deadlock that has not happened yet",
      inversions.flatMap(inversion),
      styles,
    ),
  ];
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}

function section(
  title: string,
  lines: readonly string[],
  styles: Styles,
): string[] {
  return lines.length === 0 ? [] : ["", styles.bold(title), ...lines];
}

interface Column {
  name: string;
  cell: (lock: LockReport) => string;
  left?: boolean;
}

const brief = (ms: number) => ms === 0 ? "-" : formatDuration(ms);
const some = (number: number) => number === 0 ? "-" : String(number);

const COLUMNS: readonly Column[] = [
  { name: "TAKEN", cell: ({ taken }) => some(taken) },
  { name: "REFUSED", cell: ({ refused }) => some(refused) },
  { name: "GAVE UP", cell: ({ gaveUp }) => some(gaveUp) },
  { name: "WAITS", cell: ({ waits }) => some(waits.count) },
  { name: "WAITED", cell: ({ waits }) => brief(waits.totalMs) },
  { name: "P50", cell: ({ waits }) => brief(waits.p50Ms) },
  { name: "P95", cell: ({ waits }) => brief(waits.p95Ms) },
  { name: "P99", cell: ({ waits }) => brief(waits.p99Ms) },
  { name: "MAX", cell: ({ waits }) => brief(waits.maxMs) },
  { name: "HELD", cell: ({ holds }) => brief(holds.totalMs) },
  { name: "LONGEST", cell: ({ holds }) => brief(holds.maxMs) },
  { name: "NOW", cell: now },
  { name: "TYPE", cell: ({ type }) => type, left: true },
  { name: "LOCK", cell: ({ file }) => fileName(file), left: true },
];

/** How many hold it and wait for it at the end. */
function now({ heldNow, waitingNow }: LockReport): string {
  if (heldNow === 0 && waitingNow === 0) return "-";
  return waitingNow === 0 ? `${heldNow}` : `${heldNow}+${waitingNow}`;
}

function table(locks: readonly LockReport[], styles: Styles): string[] {
  const names = COLUMNS.map(({ name }) => name);
  const rows = locks.map((lock) => COLUMNS.map(({ cell }) => cell(lock)));
  const widths = names.map((name, at) =>
    Math.max(name.length, ...rows.map((row) => textColumns(row[at]!)))
  );
  const lay = (row: readonly string[]) =>
    row.map((text, at) => {
      const pad = " ".repeat(widths[at]! - textColumns(text));
      return COLUMNS[at]!.left ? text + pad : pad + text;
    }).join("  ").trimEnd();
  return [styles.bold(lay(names)), ...rows.map(lay)];
}

function culprits({ file, users }: LockReport): string[] {
  const blamed = users.filter(({ blockedMs }) => blockedMs > 0);
  if (blamed.length === 0) return [];
  return [
    fileName(file),
    ...blamed.map(({ command, pid, blockedMs, heldMs, taken }) =>
      `  ${formatDuration(blockedMs)} by ${printable(command)} (pid ${pid}), ` +
      `which held it for ${formatDuration(heldMs)} in ${count(taken, "taking")}`
    ),
  ];
}

function convoys({ file, convoys }: LockReport): string[] {
  if (convoys.length === 0) return [];
  return [
    fileName(file),
    ...convoys.map(({ startMs, durationMs, turns, mostWaiters, startedBy }) =>
      `  ${localTime(startMs)}: ${turns} turns in ` +
      `${formatDuration(durationMs)}, up to ${mostWaiters} waiting` +
      (startedBy === undefined
        ? ""
        : `, begun behind pid ${startedBy.pid} ${printable(startedBy.command)}`)
    ),
  ];
}

function inversion({ steps }: LockInversion): string[] {
  return steps.map((step, at) => `${at === 0 ? "- " : "  "}${orderStep(step)}`);
}

function orderStep({ process, held, wanted, atMs }: OrderStep): string {
  return `pid ${process.pid} ${printable(process.command)} held ` +
    `${fileName(held.file)} and wanted ${fileName(wanted.file)} ` +
    `(${localTime(atMs)})`;
}
