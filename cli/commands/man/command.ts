/**
 * `holdfast man`: the manual page out of the command table.
 *
 * @module
 */

import { EXIT } from "../../ui/exit_codes.ts";
import { MAN_SPEC } from "./spec.ts";
import { longNames, parseOptions, UsageError } from "../../args/parse.ts";
import { optionGroups } from "../../args/help.ts";
import { writeOut } from "../../ui/output.ts";
import type { CommandSpec, OptionSpec } from "../../args/spec.ts";
import { VERSION } from "../../version.ts";

/**
 * Runs the subcommand and gives the exit code.
 *
 * @param specs The tables of all commands.
 */
export function manCommand(
  args: string[],
  specs: readonly CommandSpec[],
): number {
  const options = parseOptions(MAN_SPEC, args);
  const [unexpected] = [...options.operands, ...options.afterDashes ?? []];
  if (unexpected !== undefined) {
    throw new UsageError(`unexpected operand '${unexpected}'`);
  }
  writeOut(formatManual(specs));
  return EXIT.OK;
}

/** What belongs to no command alone. */
const VARIABLES: readonly (readonly [name: string, meaning: string])[] = [
  ["HOLDFAST_LOCK", "set for the command that run starts: what is locked"],
  [
    "HOLDFAST_FENCE",
    "set for the command: a number that is higher at each taking of the lock, " +
    "where its kind has one",
  ],
  [
    "HOLDFAST_LOCK_KEY",
    "set for the command: the key that a lock in an engine has there",
  ],
  [
    "HOLDFAST_RUN_ID",
    "set for the command under a lock in an engine: by it, what the command " +
    "has started is found when it must end",
  ],
  ["HOLDFAST_SLOT", "set for the command by --slots: the place it has"],
  ["HOLDFAST_CPUS", "set for the command by --cpus: the processors it has"],
  [
    "HOLDFAST_OUTPUT",
    "set for the command of cache: where it is to write the entry",
  ],
  ["HOLDFAST_LOCK_DIR", "the directory of locks that go by a name"],
  [
    "HOLDFAST_EVENTS",
    "a file, or a directory to keep one in, to which run appends what happens",
  ],
  ["HOLDFAST_DENO", "the Deno that the starters in bin/ run"],
  ["HOLDFAST_DEBUG", "an error in holdfast itself shows its stack"],
  [
    "NO_COLOR, CLICOLOR, CLICOLOR_FORCE, TERM",
    "whether tables and notices are coloured",
  ],
];

/**
 * The page holdfast(1) in the language of man(7).
 *
 * @param specs The tables of all commands.
 */
export function formatManual(specs: readonly CommandSpec[]): string {
  const lines = [
    `.TH HOLDFAST 1 "" ${quoted(`holdfast ${VERSION}`)} "User Commands"`,
    ".SH NAME",
    `holdfast ${"\\-"} file locks that a script can trust and explain`,
    ".SH SYNOPSIS",
    ...synopsis(specs.flatMap(({ usage }) => usage)),
    ".SH DESCRIPTION",
    ...paragraphs(
      "Takes advisory file locks, runs commands under them, and says who " +
        "holds a lock and where locks can be relied on. Each command has " +
        "its own options; they may be shortened as long as they stay " +
        "unambiguous, and come before or after the operands, unless said " +
        "otherwise.",
    ),
    ".SH COMMANDS",
    ...specs.flatMap(commandSection),
    ".SH EXIT STATUS",
    ...paragraphs("Each command has its own, and all have these:"),
    ...definitions([
      ["64", "the command line can't be understood"],
      ["65", "the lock file is there but can't be locked, or was lost"],
      ["66", "the lock file can't be opened"],
      ["69", "this filesystem can't do it"],
      ["70", "an error in holdfast itself"],
      ["71", "out of processes, descriptors, memory or locks"],
      ["73", "the lock file can't be created"],
      ["75", "the lock stayed busy"],
      ["77", "Deno was not given a permission that this takes"],
    ]),
    ".SH ENVIRONMENT",
    ...definitions(VARIABLES),
    ".SH SEE ALSO",
    ["flock (1)", "lslocks (8)", "flock (2)", "fcntl (2)", "proc_locks (5)"]
      .map((page) => `.BR ${page}`).join(" ,\n"),
  ];
  return lines.join("\n") + "\n";
}

function synopsis(forms: readonly string[]): string[] {
  return [".nf", ...forms.map((form) => text(form)), ".fi"];
}

function commandSection(spec: CommandSpec): string[] {
  const summary = spec.summary.charAt(0).toUpperCase() + spec.summary.slice(1);
  return [
    `.SS ${quoted(`holdfast ${spec.name}`)}`,
    ...synopsis(spec.usage),
    ...paragraphs(`${summary}.\n\n${spec.description}`),
    ...titled(
      "Operands",
      definitions(spec.operands.map(({ name, help }) => [name, help])),
    ),
    ...optionGroups(spec).flatMap(([heading, options]) =>
      titled(heading, options.flatMap(option))
    ),
    ...titled("Exit status", definitions(spec.exitCodes)),
    ...titled(
      "Examples",
      spec.examples.flatMap(([commandLine, purpose]) => [
        ".TP",
        text(`${purpose}:`),
        ".nf",
        text(commandLine),
        ".fi",
      ]),
    ),
  ];
}

function titled(title: string, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : [".PP", `${title}:`, ...lines];
}

function option(spec: OptionSpec): string[] {
  const { short = "", value, values, repeat, help } = spec;
  const names = [
    ...[...short].map((letter) => `-${letter}`),
    ...longNames(spec).map((name) => `--${name}`),
  ].map((name) => `\\fB${inline(name)}\\fR`).join(", ");
  const extra = [
    ...(values === undefined ? [] : [`one of ${values.join(", ")}`]),
    ...(repeat ? ["may be repeated"] : []),
  ];
  return [
    ".TP",
    value === undefined ? names : `${names} \\fI${inline(value)}\\fR`,
    text(help + (extra.length === 0 ? "" : ` (${extra.join("; ")})`)),
  ];
}

function definitions(
  rows: readonly (readonly [string, string])[],
): string[] {
  return rows.flatMap(([term, meaning]) => [
    ".TP",
    `\\fB${inline(term)}\\fR`,
    text(meaning),
  ]);
}

function paragraphs(source: string): string[] {
  return source.split(/\n{2,}/).flatMap((part) => [
    ".PP",
    text(part.replace(/\s+/g, " ")),
  ]);
}

/** A line of text; one that starts with a dot or a quote is no request. */
function text(line: string): string {
  const escaped = inline(line);
  return /^[.']/.test(escaped) ? `\\&${escaped}` : escaped;
}

/** `-` is a hyphen to roff, and can't be copied from there to a shell. */
function inline(source: string): string {
  return source.replace(/[\\\-'^`~]|\P{ASCII}/gu, (character) => {
    const special = SPECIAL[character];
    if (special !== undefined) return special;
    const code = character.codePointAt(0)!.toString(16).toUpperCase();
    return `\\[u${code.padStart(4, "0")}]`;
  });
}

const SPECIAL: Readonly<Record<string, string>> = {
  "\\": "\\e",
  "-": "\\-",
  "'": "\\(aq",
  "^": "\\(ha",
  "`": "\\(ga",
  "~": "\\(ti",
  "…": "...",
};

function quoted(argument: string): string {
  return `"${inline(argument).replaceAll('"', "\\(dq")}"`;
}
