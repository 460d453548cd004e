import { type Styles, textColumns, truncate } from "../../ui/terminal.ts";
import { printable } from "../../../lib/proc/printable.ts";
import type { Cell, Column, ColumnStyle } from "./column.ts";
import { isWaiting, type Row } from "./row.ts";

/** How a table is laid out. */
export interface TableLayout extends ColumnStyle {
  /** Whether to print the names of the columns. */
  headings: boolean;
  /** One space between values that have none themselves. */
  raw: boolean;
  /** Columns there are to fill; `Infinity` cuts nothing. */
  width: number;
  /** The styles of the stream. */
  styles: Styles;
}

/** The rows as lines without line ends. */
export function formatTable(
  rows: readonly Row[],
  columns: readonly Column[],
  layout: TableLayout,
): string[] {
  const { headings, raw, styles } = layout;
  const cells = rows.map((row) =>
    columns.map((column) => cellText(column.cell(row, layout)))
  );
  const names = columns.map(({ name }) => name);
  if (raw) {
    const lines = headings ? [names, ...cells] : cells;
    return lines.map((line) => line.map(rawText).join(" "));
  }
  const widths = columns.map(({ name }, index) => {
    let width = headings ? name.length : 0;
    for (const line of cells) {
      width = Math.max(width, textColumns(line[index]!));
    }
    return width;
  });
  fit(widths, columns, layout.width);
  // What doesn't fit at all is cut off: a line that wraps can't be replaced.
  const lay = (line: readonly string[]) =>
    truncate(layCells(line), layout.width);
  const layCells = (line: readonly string[]) =>
    line.map((text, index) => {
      const { right, name } = columns[index]!;
      const width = widths[index]!;
      const cut = name === "PATH" ? truncateStart(text, width) : text;
      const shown = truncate(cut, width);
      const pad = " ".repeat(width - textColumns(shown));
      return right ? pad + shown : shown + pad;
    }).join(" ").trimEnd();
  return [
    ...(headings ? [styles.bold(lay(names))] : []),
    ...cells.map((line, index) => paint(rows[index]!, lay(line), styles)),
  ];
}

function paint(row: Row, line: string, styles: Styles): string {
  if (row.deadlocked) return styles.red(line);
  if (isWaiting(row)) return styles.yellow(line);
  return row.entry.file.pathStatus === "deleted" ? styles.dim(line) : line;
}

function cellText(cell: Cell): string {
  if (cell === undefined) return "";
  if (typeof cell === "boolean") return cell ? "1" : "0";
  if (typeof cell === "string") return printable(cell);
  return typeof cell === "object" ? cell.join(" ") : String(cell);
}

/** A value of one word, as libsmartcols writes it. */
function rawText(text: string): string {
  return text.replace(
    /[\s\\]/g,
    (character) =>
      `\\x${character.codePointAt(0)!.toString(16).padStart(2, "0")}`,
  );
}

/** Narrow columns stay readable; what is cut is cut from the widest. */
const LEAST_WIDTH = 8;

function fit(
  widths: number[],
  columns: readonly Column[],
  available: number,
): void {
  const gaps = columns.length - 1;
  let excess = widths.reduce((sum, width) => sum + width, gaps) - available;
  while (excess > 0) {
    const widest = Math.max(...widths);
    if (widest <= LEAST_WIDTH) return;
    const index = widths.lastIndexOf(widest);
    const second = Math.max(
      LEAST_WIDTH,
      ...widths.filter((width) => width < widest),
    );
    const cut = Math.min(excess, Math.max(1, widest - second));
    widths[index] = widest - cut;
    excess -= cut;
  }
}

/** The end of a path says more than its start. */
function truncateStart(text: string, columns: number): string {
  if (textColumns(text) <= columns) return text;
  const characters = [...text];
  let start = characters.length;
  let left = columns - 1;
  while (start > 0) {
    left -= textColumns(characters[start - 1]!);
    if (left < 0) break;
    start--;
  }
  return `…${characters.slice(start).join("")}`;
}
