import type { Cell, Column, ColumnStyle } from "./column.ts";
import type { Row } from "./row.ts";

/**
 * The rows the way lslocks -J prints them, in pieces: names in lower case,
 * offsets as numbers, sizes as strings unless in bytes.
 */
export function* lslocksJson(
  rows: readonly Row[],
  columns: readonly Column[],
  style: ColumnStyle,
): Generator<string> {
  yield '{\n   "locks": [';
  let separator = "\n";
  for (const row of rows) {
    const members = columns.map((column) =>
      `         "${column.name.toLowerCase()}": ` +
      cellJson(cellOf(column, row, style))
    );
    yield `${separator}      {\n${members.join(",\n")}\n      }`;
    separator = ",\n";
  }
  yield "\n   ]\n}\n";
}

function cellOf(column: Column, row: Row, style: ColumnStyle): Cell {
  // Only a path counts as one here.
  if (column.name === "PATH") return row.entry.file.path;
  return column.cell(row, style);
}

function cellJson(cell: Cell): string {
  // A number beyond 2^53 is written in full; JSON itself has no limit.
  if (typeof cell === "bigint") return String(cell);
  return JSON.stringify(cell ?? null);
}
