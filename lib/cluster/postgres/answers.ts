/**
 * What a server answers, as text.
 *
 * @module
 */

/** A row as text, whatever the types of its columns. */
export type Row = Readonly<Record<string, string | null>>;

/** Rows as the client library gives them, every value as text. */
export function textRows(
  rows: readonly Record<string, unknown>[],
): readonly Row[] {
  return rows.map((row) =>
    Object.fromEntries(
      Object.entries(row).map((
        [name, value],
      ) => [name, value === null ? null : asText(value)]),
    )
  );
}

function asText(value: unknown): string {
  if (typeof value === "boolean") return value ? "t" : "f";
  return String(value);
}

/**
 * The text of a server's FATAL message, which comes just before it closes the
 * connection:
 *
 * ```text
 * 'E' length(4) { field type(1) text NUL } NUL      S FATAL, C 57P01, M …
 * ```
 */
export function fatalMessage(chunk: Uint8Array): string | undefined {
  if (chunk[0] !== "E".charCodeAt(0)) return undefined;
  const fields = new TextDecoder().decode(chunk.subarray(5)).split("\0");
  const severity = fields.find((field) => field.startsWith("V"))?.slice(1);
  const message = fields.find((field) => field.startsWith("M"))?.slice(1);
  return severity === "FATAL" || severity === "PANIC" ? message : undefined;
}
