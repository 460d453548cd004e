/**
 * The command table: what `--help`, the manual page, the shell completions and
 * the option parser all read. Pure data, one file per command, so that none of
 * them loads an implementation.
 *
 * @module
 */

/** What a shell completes a word to. */
export type Completion =
  | "file"
  | "dir"
  | "command"
  | "pid"
  | "none";

/** One option of a command. */
export interface OptionSpec {
  /** Its long name, without dashes: what `ParsedOptions` knows it by. */
  long: string;
  /** Other long names. */
  aliases?: readonly string[];
  /** One-letter names, all of them: `"ex"` is `-e` and `-x`. */
  short?: string;
  /** What to call its value in help; absent for a flag. */
  value?: string;
  /** What it does, a clause without a full stop. */
  help: string;
  /** The heading that help lists it under; one for all unless set. */
  group?: string;
  /** Whether giving it several times adds up; else the last one counts. */
  repeat?: boolean;
  /** Whether help and completions leave it out. */
  hidden?: boolean;
  /** The only values it takes. */
  values?: readonly string[];
  /**
   * It does something only beside one of these options, each by its long name
   * or as `NAME=VALUE`.
   */
  needs?: readonly string[];
  /** It does nothing, or makes no sense, beside any of these. */
  excludes?: readonly string[];
  /** What its value completes to; `"none"` unless said otherwise. */
  complete?: Completion;
}

/** One operand of a command, or a run of them. */
export interface OperandSpec {
  /** Its name in help, such as `LOCKFILE`. */
  name: string;
  /** What it is, a clause without a full stop. */
  help: string;
  /** What it completes to. */
  complete: Completion;
  /** The only words it can be. */
  values?: readonly string[];
}

/** One command. */
export interface CommandSpec {
  /** Its name on the command line. */
  name: string;
  /** What it does, a clause without a full stop. */
  summary: string;
  /** The forms it can be called in, each from `holdfast` on. */
  usage: readonly string[];
  /** Its behaviour; paragraphs are separated by an empty line. */
  description: string;
  /** What follows the options. */
  operands: readonly OperandSpec[];
  /** All options but `--help`, which every command has. */
  options: readonly OptionSpec[];
  /** Each exit code (or range, or formula) and its meaning. */
  exitCodes: readonly (readonly [code: string, meaning: string])[];
  /** Each example and what it is for. */
  examples: readonly (readonly [commandLine: string, purpose: string])[];
  /**
   * Whether everything from the first operand on belongs to somebody else's
   * command line, like the `+` of getopt_long(3).
   */
  stopAtFirstOperand?: boolean;
}
