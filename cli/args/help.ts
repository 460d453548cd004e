/**
 * Help texts out of the command table.
 *
 * @module
 */

import { allOptions } from "./parse.ts";
import type { CommandSpec, OptionSpec } from "./spec.ts";

/** Columns for the left one of two, beyond which the right starts below. */
const MAX_LEFT = 26;
/** Lines longer than this are hard to read, however wide the terminal. */
const MAX_WIDTH = 100;

/**
 * The text that `holdfast COMMAND --help` prints.
 *
 * @param spec The command's table.
 * @param width The columns there are.
 */
export function formatHelp(spec: CommandSpec, width = 80): string {
  const room = Math.min(width, MAX_WIDTH);
  const usage = spec.usage.map((form, index) =>
    wrap(form, room, index === 0 ? "Usage: " : "       ", " ".repeat(11))
  );
  const summary = spec.summary.charAt(0).toUpperCase() + spec.summary.slice(1);
  const sections = [
    usage.join("\n"),
    wrap(`${summary}.`, room),
    ...spec.description.split(/\n{2,}/).map((text) => wrap(text, room)),
    section("Operands", spec.operands.map(({ name, help }) => [name, help]), {
      room,
    }),
    ...optionSections(spec, room),
    section("Exit codes", spec.exitCodes, { room }),
    examples(spec, room),
  ];
  return sections.filter((text) => text !== "").join("\n\n") + "\n";
}

/**
 * The text that `holdfast --help` prints.
 *
 * @param specs The tables of all commands.
 * @param width The columns there are.
 */
export function formatCommandList(
  specs: readonly CommandSpec[],
  width = 80,
): string {
  const room = Math.min(width, MAX_WIDTH);
  return [
    wrap("holdfast COMMAND [OPTION…] [OPERAND…]", room, "Usage: ", "         "),
    wrap("File locks that a script can trust and explain.", room),
    section("Commands", specs.map(({ name, summary }) => [name, summary]), {
      room,
    }),
    section("Options", [
      ["-h, --help", "print this help and exit"],
      ["-V, --version", "print the version and exit"],
    ], { room }),
    wrap(
      "More about a command: holdfast COMMAND --help, or holdfast help " +
        "COMMAND.",
      room,
    ),
  ].join("\n\n") + "\n";
}

/** All options in columns of one width. */
function optionSections(spec: CommandSpec, room: number): string[] {
  const groups = optionGroups(spec).map(([heading, options]) =>
    [heading, options.map(optionRow)] as const
  );
  const longest = longestLeft(groups.flatMap(([, rows]) => rows));
  return groups.map(([heading, rows]) =>
    section(heading, rows, { room, longest })
  );
}

/** The options that help shows, under their headings. */
export function optionGroups(
  spec: CommandSpec,
): [heading: string, options: OptionSpec[]][] {
  const shown = allOptions(spec).filter(({ hidden }) => !hidden);
  const rest = shown.some(({ group }) => group !== undefined)
    ? "Other options"
    : "Options";
  return [...Map.groupBy(shown, ({ group = rest }) => group)];
}

function optionRow(option: OptionSpec): readonly [string, string] {
  const { short = "", long, aliases = [], value, values } = option;
  const names = [
    ...[...short].map((letter) => `-${letter}`),
    ...[long, ...aliases].map((name) => `--${name}`),
  ].join(", ");
  // Long names stand in one column, with a short one before them or without.
  const indented = short === "" ? `    ${names}` : names;
  const extra = [
    ...(values === undefined ? [] : [`one of ${values.join(", ")}`]),
    ...(option.repeat ? ["may be repeated"] : []),
  ];
  return [
    value === undefined ? indented : `${indented} ${value}`,
    option.help + (extra.length === 0 ? "" : ` (${extra.join("; ")})`),
  ];
}

type Rows = readonly (readonly [left: string, right: string])[];

function longestLeft(rows: Rows): number {
  return Math.max(...rows.map(([left]) => left.length));
}

/** A heading over two columns; nothing without rows. */
function section(
  heading: string,
  rows: Rows,
  { room, longest = longestLeft(rows) }: { room: number; longest?: number },
): string {
  if (rows.length === 0) return "";
  const leftColumns = Math.min(longest, MAX_LEFT) + 4;
  const lines = rows.map(([left, right]) => {
    const indent = " ".repeat(leftColumns);
    const start = `  ${left}`;
    return start.length + 2 <= leftColumns
      ? wrap(right, room, start.padEnd(leftColumns), indent)
      : `${wrap(left, room, "  ", indent)}\n${wrap(right, room, indent)}`;
  });
  return `${heading}:\n${lines.join("\n")}`;
}

function examples(spec: CommandSpec, room: number): string {
  if (spec.examples.length === 0) return "";
  const lines = spec.examples.map(([commandLine, purpose]) =>
    // A command line stays whole, to be copied.
    `${wrap(`# ${purpose}`, room, "  ", "  # ")}\n  ${commandLine}`
  );
  return `Examples:\n${lines.join("\n")}`;
}

/** Breaks a text at its spaces; a word longer than a line stays whole. */
function wrap(
  text: string,
  width: number,
  first = "",
  others: string = first,
): string {
  const lines: string[] = [];
  let line = first;
  let empty = true;
  for (const word of text.split(/\s+/).filter((word) => word !== "")) {
    if (!empty && line.length + 1 + word.length > width) {
      lines.push(line);
      line = others;
      empty = true;
    }
    line += empty ? word : ` ${word}`;
    empty = false;
  }
  return [...lines, line].join("\n");
}
