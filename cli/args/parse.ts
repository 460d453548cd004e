/**
 * A table-driven getopt_long(3).
 *
 * The hot path of `holdfast run` goes through here, so it imports nothing.
 *
 * @module
 */

import type { CommandSpec, OptionSpec } from "./spec.ts";

/** More about a {@linkcode UsageError}. */
export interface UsageErrorInit {
  /** The word that is not known, as the user wrote it. */
  unknown?: string;
  /** The words it could have been; the nearest one is suggested. */
  candidates?: readonly string[];
  /** What to do about it, a clause without a full stop. */
  hint?: string;
}

/** The command line asks for something that can't be done or understood. */
export class UsageError extends Error {
  override name = "UsageError";
  /** The word that is not known, as the user wrote it. */
  readonly unknown: string | undefined;
  /** The words it could have been. */
  readonly candidates: readonly string[];
  /** What to do about it. */
  readonly hint: string | undefined;

  /**
   * @param message What is wrong, a clause without a full stop.
   * @param init What helps to put it right.
   */
  constructor(message: string, init: UsageErrorInit = {}) {
    super(message);
    this.unknown = init.unknown;
    this.candidates = init.candidates ?? [];
    this.hint = init.hint;
  }
}

/** Thrown at `--help`: whatever else was asked for, help is to be printed. */
export class HelpRequest extends Error {
  override name = "HelpRequest";
  /** The command to print the help of. */
  readonly spec: CommandSpec;

  /** Thrown by {@linkcode parseOptions}. */
  constructor(spec: CommandSpec) {
    super(`help on ${spec.name}`);
    this.spec = spec;
  }
}

/** One option as it was given. */
export interface GivenOption {
  /** Its entry in the table. */
  option: OptionSpec;
  /** Its value; `undefined` for a flag. */
  value: string | undefined;
}

/** A command line taken apart. */
export class ParsedOptions {
  /** The options in the order they were given. */
  readonly values: readonly GivenOption[];
  /** The operands before the first `--`, or all of them without one. */
  readonly operands: string[];
  /** What follows the first `--`; `undefined` without one. */
  readonly afterDashes: string[] | undefined;
  /**
   * All operands as they stood, from where the options ended on. Only a `--`
   * that ended the options is left out: with `stopAtFirstOperand`, one after
   * the first operand is part of somebody else's command line.
   */
  readonly verbatim: string[];

  /** Made by {@linkcode parseOptions}. */
  constructor(
    values: readonly GivenOption[],
    operands: string[],
    afterDashes: string[] | undefined,
    verbatim: string[],
  ) {
    this.values = values;
    this.operands = operands;
    this.afterDashes = afterDashes;
    this.verbatim = verbatim;
  }

  /** Whether an option was given. */
  flag(long: string): boolean {
    return this.values.some(({ option }) => option.long === long);
  }

  /** The last value given to an option. */
  value(long: string): string | undefined {
    return this.values.findLast(({ option }) => option.long === long)?.value;
  }

  /** All values given to an option, in order. */
  all(long: string): string[] {
    const found: string[] = [];
    for (const { option, value } of this.values) {
      if (option.long === long && value !== undefined) found.push(value);
    }
    return found;
  }

  /** Which of some options that exclude each other was given last. */
  last<Long extends string>(...longs: Long[]): Long | undefined {
    for (let i = this.values.length - 1; i >= 0; i--) {
      const given = this.values[i]!.option.long;
      const long = longs.find((long) => long === given);
      if (long !== undefined) return long;
    }
    return undefined;
  }
}

const HELP: OptionSpec = {
  long: "help",
  short: "h",
  help: "print this help and exit",
};

/**
 * All options of a command: its own, and `--help`, which every command has.
 * A command that has another use for `-h` keeps it.
 */
export function allOptions(spec: CommandSpec): OptionSpec[] {
  if (spec.options.some(({ long }) => long === "help")) {
    return [...spec.options];
  }
  const hTaken = spec.options.some(({ short }) => short?.includes("h"));
  return [
    ...spec.options,
    hTaken ? { long: HELP.long, help: HELP.help } : HELP,
  ];
}

/**
 * Takes a command line apart as getopt_long(3) does: bundled short options,
 * values attached or apart, unambiguous prefixes of long names, `--`. Options
 * may follow operands unless the table says `stopAtFirstOperand`.
 *
 * @param spec The command's table.
 * @param args The arguments after the command's name.
 * @throws {UsageError} when they don't fit the table; the messages are those
 *   of the GNU C library, which scripts match on.
 * @throws {HelpRequest} at `--help`.
 */
export function parseOptions(
  spec: CommandSpec,
  args: readonly string[],
): ParsedOptions {
  const options = allOptions(spec);
  const values: GivenOption[] = [];
  const operands: string[] = [];
  let index = 0;

  const add = (option: OptionSpec, shown: string, attached?: string) => {
    if (option.long === "help") throw new HelpRequest(spec);
    if (option.value === undefined) {
      values.push({ option, value: undefined });
      return;
    }
    const value = attached ?? args[index++];
    if (value === undefined) {
      throw new UsageError(
        shown.startsWith("--")
          ? `option '${shown}' requires an argument`
          : `option requires an argument -- '${shown.slice(1)}'`,
      );
    }
    if (option.values !== undefined && !option.values.includes(value)) {
      throw new UsageError(`invalid argument '${value}' for '${shown}'`, {
        unknown: value,
        candidates: option.values,
        hint: `It takes one of: ${option.values.join(", ")}`,
      });
    }
    values.push({ option, value });
  };

  const done = (...rest: [string[], string[] | undefined, string[]]) => {
    const parsed = new ParsedOptions(values, ...rest);
    for (const { option } of values) checkCompany(option, parsed);
    return parsed;
  };

  while (index < args.length) {
    const word = args[index]!;
    if (word === "--") {
      const rest = args.slice(index + 1);
      return done(operands, rest, [...operands, ...rest]);
    }
    if (word === "-" || !word.startsWith("-")) {
      if (spec.stopAtFirstOperand) {
        const verbatim = args.slice(index);
        const dashes = verbatim.indexOf("--");
        return dashes < 0 ? done(verbatim, undefined, verbatim) : done(
          verbatim.slice(0, dashes),
          verbatim.slice(dashes + 1),
          verbatim,
        );
      }
      operands.push(word);
      index++;
      continue;
    }
    index++;
    if (word.startsWith("--")) {
      const equals = word.indexOf("=");
      const name = equals < 0 ? word.slice(2) : word.slice(2, equals);
      const attached = equals < 0 ? undefined : word.slice(equals + 1);
      const { option, long } = findLong(options, name);
      if (attached !== undefined && option.value === undefined) {
        throw new UsageError(`option '--${long}' doesn't allow an argument`);
      }
      add(option, `--${long}`, attached);
      continue;
    }
    const letters = [...word].slice(1);
    for (let i = 0; i < letters.length; i++) {
      const letter = letters[i]!;
      const option = options.find(({ short }) => short?.includes(letter));
      if (option === undefined) {
        throw new UsageError(`invalid option -- '${letter}'`, {
          // Somebody who wrote -timeout meant --timeout.
          ...(letters.length > 1
            ? { unknown: `-${word}`, candidates: shownNames(options) }
            : {}),
        });
      }
      if (option.value === undefined) {
        add(option, `-${letter}`);
        continue;
      }
      const attached = letters.slice(i + 1).join("");
      add(option, `-${letter}`, attached === "" ? undefined : attached);
      break;
    }
  }
  return done(operands, undefined, operands);
}

/**
 * Refuses an option that would do nothing in this company.
 *
 * @throws {UsageError} when it lacks one that it needs, or has one that it
 * can't go with.
 */
function checkCompany(
  { long, needs, excludes }: OptionSpec,
  parsed: ParsedOptions,
): void {
  const isGiven = (other: string) => {
    const [name, value] = other.split("=") as [string, string | undefined];
    return value === undefined
      ? parsed.flag(name)
      : parsed.value(name) === value;
  };
  const shown = (other: string) => `--${other.replace("=", " ")}`;
  const clash = excludes?.find(isGiven);
  if (clash !== undefined) {
    throw new UsageError(`--${long} can't go with ${shown(clash)}`);
  }
  if (needs === undefined || needs.some(isGiven)) return;
  throw new UsageError(
    `--${long} does nothing without ${needs.map(shown).join(" or ")}`,
  );
}

/** Finds an option by its long name, an alias, or an unambiguous prefix. */
function findLong(
  options: readonly OptionSpec[],
  name: string,
): { option: OptionSpec; long: string } {
  const found: { option: OptionSpec; long: string }[] = [];
  for (const option of options) {
    for (const long of longNames(option)) {
      if (long === name) return { option, long };
      if (long.startsWith(name)) found.push({ option, long });
    }
  }
  const first = found[0];
  if (first === undefined || name === "") {
    throw new UsageError(`unrecognized option '--${name}'`, {
      unknown: `--${name}`,
      candidates: shownNames(options),
    });
  }
  if (found.some(({ option }) => option !== first.option)) {
    const names = found.map(({ long }) => `'--${long}'`).join(" ");
    throw new UsageError(
      `option '--${name}' is ambiguous; possibilities: ${names}`,
    );
  }
  return first;
}

/** An option's long names, without dashes. */
export function longNames(option: OptionSpec): readonly string[] {
  return option.aliases === undefined
    ? [option.long]
    : [option.long, ...option.aliases];
}

function shownNames(options: readonly OptionSpec[]): string[] {
  return options.filter(({ hidden }) => !hidden).flatMap(longNames)
    .map((name) => `--${name}`);
}
