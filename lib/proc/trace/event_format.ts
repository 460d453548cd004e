/**
 * Parsers of the `format` files of tracefs: where each field of an event is.
 *
 * Text in, values out: nothing is read and no permission is needed.
 *
 * @module
 */
import { ProcParseError } from "../error.ts";

/** Where one field of an event is, and what it is. */
export interface EventField {
  /** Its C declaration, such as `unsigned long`. */
  cType: string;
  /** Its name. */
  name: string;
  /** First byte in the event. */
  offset: number;
  /** Length in bytes. */
  size: number;
  /** Whether it is a signed number. */
  signed: boolean;
}

/** The layout of one kind of event. */
export interface EventFormat {
  /** Its name, such as `flock_lock_inode`. */
  name: string;
  /** What `common_type` is in such an event; differs from boot to boot. */
  id: number;
  /** Its fields by name, those that all events have included. */
  fields: ReadonlyMap<string, EventField>;
}

const NAME = /^name: (\S+)$/;
const ID = /^ID: (\d+)$/;
const FIELD =
  /^\s*field:\s*(.+?);\s*offset:(\d+);\s*size:(\d+);\s*signed:([01]);$/;
/** The last word of a declaration, before the brackets of an array. */
const DECLARATION = /^(.*?)(\w+)(\[[^\]]*\])?$/;

/**
 * Parses `events/SYSTEM/EVENT/format`.
 *
 * ```text
 * name: flock_lock_inode
 * ID: 1125
 * format:
 * 	field:int common_pid;	offset:4;	size:4;	signed:1;
 * 	      (1)               (2)       (3)     (4)
 *
 * print fmt: "…"
 * ```
 *
 * 1. C declaration, whose last word is the name; 2. first byte in the event;
 * 3. length in bytes; 4. whether it is signed. Lines of other forms are
 * skipped: kernels add some. See Documentation/trace/events.rst.
 *
 * @param text The text of the file.
 * @param source The file that errors name.
 * @returns The layout.
 * @throws {ProcParseError} when name or ID is missing, or a field line has
 * another form.
 *
 * @example
 * ```ts
 * import { parseEventFormat } from "./event_format.ts";
 *
 * const format = parseEventFormat(
 *   "name: x\nID: 7\nformat:\n" +
 *     "\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n",
 * );
 * console.log(format.id, format.fields.get("common_pid")?.offset); // 7 4
 * ```
 */
export function parseEventFormat(
  text: string,
  source = "format",
): EventFormat {
  let name: string | undefined;
  let id: number | undefined;
  const lines = text.split("\n");
  lines.forEach((line) => {
    name ??= NAME.exec(line)?.[1];
    const number = ID.exec(line)?.[1];
    if (number !== undefined) id ??= Number(number);
  });
  const init = { source, line: 1, text: lines[0] ?? "" };
  if (name === undefined) throw new ProcParseError('a line "name: …"', init);
  if (id === undefined) throw new ProcParseError('a line "ID: …"', init);
  return { name, id, fields: parseFields(lines, source) };
}

function parseFields(
  lines: readonly string[],
  source: string,
): Map<string, EventField> {
  const fields = new Map<string, EventField>();
  lines.forEach((text, index) => {
    if (!text.trimStart().startsWith("field:")) return;
    const match = FIELD.exec(text.trimEnd());
    const declared = match && DECLARATION.exec(match[1]!);
    if (!match || !declared) {
      throw new ProcParseError('"field:…; offset:…; size:…; signed:…;"', {
        source,
        line: index + 1,
        text,
      });
    }
    const [, , offset, size, signed] = match;
    const [, cType, name, brackets] = declared;
    fields.set(name!, {
      cType: cType!.trim() + (brackets ?? ""),
      name: name!,
      offset: Number(offset),
      size: Number(size),
      signed: signed === "1",
    });
  });
  return fields;
}

/** Where the parts of a page of the ring buffer are. */
export interface PageLayout {
  /** First byte of the time of the first event, 8 bytes long. */
  timestampOffset: number;
  /** First byte of the length of the data, with flags in its upper bits. */
  commitOffset: number;
  /** First byte of the data. */
  dataOffset: number;
}

/**
 * Parses `events/header_page`: the head of each page that is read from
 * `trace_pipe_raw`.
 *
 * @param text The text of the file.
 * @param source The file that errors name.
 * @returns The layout.
 * @throws {ProcParseError} when a field is missing.
 */
export function parsePageLayout(
  text: string,
  source = "header_page",
): PageLayout {
  const lines = text.split("\n");
  const fields = parseFields(lines, source);
  const offsetOf = (name: string) => {
    const field = fields.get(name);
    if (field !== undefined) return field.offset;
    const init = { source, line: 1, text: lines[0] ?? "" };
    throw new ProcParseError(`a field "${name}"`, init);
  };
  return {
    timestampOffset: offsetOf("timestamp"),
    commitOffset: offsetOf("commit"),
    dataOffset: offsetOf("data"),
  };
}
