import { type Styles, textColumns, truncate } from "../../ui/terminal.ts";
import { encodePath } from "../../../lib/proc/path_text.ts";
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
  const cellsBy = (text: (cell: Cell) => string) =>
    rows.map((row) => columns.map((column) => text(column.cell(row, layout))));
  const names = columns.map(({ name }) => name);
  if (raw) {
    const cells = cellsBy((cell) => rawText(cellText(cell)));
    return (headings ? [names, ...cells] : cells).map((line) => line.join(" "));
  }
  const cells = cellsBy((cell) => printable(cellText(cell)));
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
  if (typeof cell === "string") return cell;
  return typeof cell === "object" ? cell.join(" ") : String(cell);
}

/** A value of one word, as libsmartcols writes it, whatever the locale. */
function rawText(text: string): string {
  if (/^[!-[\]-~]*$/.test(text)) return text;
  let word = "";
  for (const byte of encodePath(text)) {
    const isPlain = byte > SPACE && byte < DELETE && byte !== BACKSLASH;
    word += isPlain
      ? String.fromCharCode(byte)
      : `\\x${byte.toString(16).padStart(2, "0")}`;
  }
  return word;
}

const SPACE = 0x20;
const BACKSLASH = 0x5c;
const DELETE = 0x7f;

/** Narrow columns stay readable; what is cut is cut from the widest. */
const MIN_WIDTH = 8;

function fit(
  widths: number[],
  columns: readonly Column[],
  available: number,
): void {
  const gaps = columns.length - 1;
  let excess = widths.reduce((sum, width) => sum + width, gaps) - available;
  while (excess > 0) {
    const widest = Math.max(...widths);
    if (widest <= MIN_WIDTH) return;
    const index = widths.lastIndexOf(widest);
    const second = Math.max(
      MIN_WIDTH,
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
