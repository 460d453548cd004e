/**
 * Completions for fish.
 *
 * @module
 */

import { longNames } from "../parse.ts";
import type {
  CommandSpec,
  Completion,
  OperandSpec,
  OptionSpec,
} from "../spec.ts";
import { offeredOptions, takesCommand, takesNextWord } from "./words.ts";

/** Arguments of fish's `complete` for each kind of word. */
const STYLES: Readonly<Record<Completion, string>> = {
  file: "-F",
  dir: "-x -a '(__fish_complete_directories)'",
  command: "-x -a '(__fish_complete_command)'",
  pid: "-x -a '(__fish_complete_pids)'",
  none: "-x",
};

/**
 * A file for fish's completions directory.
 *
 * @param specs The tables of all commands.
 */
export function fishCompletions(specs: readonly CommandSpec[]): string {
  return `# fish completion for holdfast; made by "holdfast completions fish"

function __holdfast_no_command
    test (count (commandline -opc)) -eq 1
end

# Whether the word belongs to this command, and not to one after --.
function __holdfast_in
    set -l words (commandline -opc)
    test (count $words) -ge 2; and test $words[2] = $argv[1]
    and not contains -- -- $words
end

function __holdfast_after_dashes
    set -l words (commandline -opc)
    test (count $words) -ge 2; and contains -- $words[2] $argv
    and contains -- -- $words
end

function __holdfast_foreign_command
    set -l words (commandline -opc)
    set -l start (math (contains -i -- -- $words) + 1)
    set -l line (string escape -- $words[$start..-1]) (commandline -ct)
    complete -C (string join ' ' -- $line)
end

complete -c holdfast -f
complete -c holdfast -n __holdfast_no_command -s h -l help -d 'print help and exit'
complete -c holdfast -n __holdfast_no_command -s V -l version -d 'print the version and exit'
complete -c holdfast -n __holdfast_no_command -a help -d 'print help'
complete -c holdfast -n '__holdfast_in help' -a ${
    quoted(specs.map(({ name }) => name).join(" "))
  }
complete -c holdfast -n '__holdfast_after_dashes ${
    specs.filter(takesCommand).map(({ name }) => name).join(" ")
  }' -x -a '(__holdfast_foreign_command)'
${specs.map(commandLines).join("")}`;
}

function commandLines(spec: CommandSpec): string {
  const { name, summary } = spec;
  const inside = `complete -c holdfast -n '__holdfast_in ${name}'`;
  const lines = [
    "",
    `complete -c holdfast -n __holdfast_no_command -a ${name} -d ${
      quoted(summary)
    }`,
    ...operandLines(spec),
    ...offeredOptions(spec).map((option) =>
      `${inside} ${optionArguments(option)}`
    ),
  ];
  return lines.join("\n") + "\n";
}

/** Words first, if the first operand is one of some, and then the second. */
function operandLines(
  { name, operands: [first, second] }: CommandSpec,
): string[] {
  if (first === undefined) return [];
  const condition = `__holdfast_in ${name}`;
  const line = (condition: string, operand: OperandSpec) =>
    `complete -c holdfast -n '${condition}' ${style(operand)}`;
  if (first.values === undefined || second === undefined) {
    return [line(condition, first)];
  }
  const words = first.values.join(" ");
  const given = `__fish_seen_subcommand_from ${words}`;
  return [
    line(`${condition}; and not ${given}`, first),
    line(`${condition}; and ${given}`, second),
  ];
}

function optionArguments(option: OptionSpec): string {
  const names = [
    ...[...option.short ?? ""].map((letter) => `-s ${letter}`),
    ...longNames(option).map((name) => `-l ${name}`),
  ];
  // Without -x or -r the value is one that only = can give.
  const value = takesNextWord(option)
    ? option.complete === "file" ? " -r -F" : ` ${style(option)}`
    : option.values === undefined
    ? ""
    : ` -a ${quoted(option.values.join(" "))}`;
  return `${names.join(" ")}${value} -d ${quoted(option.help)}`;
}

function style(spec: OptionSpec | OperandSpec): string {
  return spec.values === undefined
    ? STYLES[spec.complete ?? "none"]
    : `-x -a ${quoted(spec.values.join(" "))}`;
}

function quoted(text: string): string {
  return `'${text.replace(/[\\']/g, "\\$&")}'`;
}
