/**
 * Completions for zsh.
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

const ACTIONS: Readonly<Record<Completion, string>> = {
  file: "_files",
  dir: "_directories",
  command: "_command_names -e",
  pid: "_pids",
  none: " ",
};

/**
 * A function file for zsh's `$fpath`.
 *
 * @param specs The tables of all commands.
 */
export function zshCompletions(specs: readonly CommandSpec[]): string {
  const commands = specs.map(({ name, summary }) =>
    `    ${quoted(`${name}:${summary}`)}`
  );
  return `#compdef holdfast
# zsh completion for holdfast; made by "holdfast completions zsh"

_holdfast() {
  local -a commands=(
${commands.join("\n")}
    'help:print help'
  )
  if ((CURRENT == 2)); then
    _describe -t commands command commands
    _arguments '(- *)'{-h,--help}'[print help and exit]' \\
      '(- *)'{-V,--version}'[print the version and exit]'
    return
  fi
  local command=$words[2]
  shift words
  ((CURRENT--))
  case $command in
${specs.map(commandCase).join("\n")}
    help)
      ((CURRENT == 2)) && _describe -t commands command commands
      ;;
  esac
}

# What follows -- is a command line of its own.
_holdfast_after_dashes() {
  local -i dashes=\${words[(i)--]}
  ((dashes < CURRENT)) || return 1
  shift $dashes words
  ((CURRENT -= dashes))
  _normal
}

if [[ $funcstack[1] == _holdfast ]]; then
  _holdfast "$@"
else
  compdef _holdfast holdfast
fi
`;
}

function commandCase(spec: CommandSpec): string {
  const args = [
    ...offeredOptions(spec).map(optionArgument),
    ...operandArguments(spec),
  ];
  const dashes = takesCommand(spec) && !spec.stopAtFirstOperand
    ? "      _holdfast_after_dashes && return\n"
    : "";
  return `    ${spec.name})
${dashes}      _arguments -s -S \\
${args.map((arg) => `        ${arg}`).join(" \\\n")}
      ;;`;
}

function optionArgument(option: OptionSpec): string {
  const { value, repeat, help } = option;
  const short = [...option.short ?? ""].map((letter) =>
    `-${letter}${takesNextWord(option) ? "+" : ""}`
  );
  const long = longNames(option).map((name) =>
    `--${name}${value === undefined ? "" : takesNextWord(option) ? "=" : "=-"}`
  );
  const names = [...short, ...long];
  const excluded = names.map((name) => name.replace(/[+=-]+$/, ""));
  const before = repeat ? "'*'" : `'(${excluded.join(" ")})'`;
  // An optional value has two colons.
  const colons = value?.startsWith("[") ? "::" : ":";
  const after = `[${escaped(help)}]` +
    (value === undefined
      ? ""
      : `${colons}${escaped(value.replace(/[[\]]/g, ""))}:${action(option)}`);
  return names.length === 1
    ? `${before}${names[0]}${quoted(after)}`
    : `${before}{${names.join(",")}}${quoted(after)}`;
}

function operandArguments(spec: CommandSpec): string[] {
  const [first, second] = spec.operands;
  if (first === undefined) return [];
  const message = `${escaped(first.name)}:${action(first)}`;
  return spec.stopAtFirstOperand && takesCommand(spec)
    ? [quoted(`1:${message}`), quoted("*:::command: _normal")]
    : first.values !== undefined && second !== undefined
    ? [
      quoted(`1:${message}`),
      quoted(`*:${escaped(second.name)}:${action(second)}`),
    ]
    : [quoted(`*:${message}`)];
}

function action(spec: OptionSpec | OperandSpec): string {
  return spec.values === undefined
    ? ACTIONS[spec.complete ?? "none"]
    : `(${spec.values.join(" ")})`;
}

/** Escapes what separates the parts of an argument of `_arguments`. */
function escaped(text: string): string {
  return text.replace(/[\\:[\]]/g, "\\$&");
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
