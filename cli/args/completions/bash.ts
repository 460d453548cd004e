/**
 * Completions for bash, with or without the bash-completion package.
 *
 * @module
 */

import { longNames } from "../parse.ts";
import type { CommandSpec, Completion, OptionSpec } from "../spec.ts";
import { offeredOptions, takesCommand, takesNextWord } from "./words.ts";

/**
 * A bash script that defines and registers the completions.
 *
 * @param specs The tables of all commands.
 */
export function bashCompletions(specs: readonly CommandSpec[]): string {
  const names = specs.map(({ name }) => name).join(" ");
  return `# bash completion for holdfast; made by "holdfast completions bash"

_holdfast() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous="" command="" index
  local options="" with_value="" values="" style=""
  local operand="" later_operands="" foreign=""
  COMPREPLY=()

  # readline may take "--kind=posix" for three words
  if [[ $current == = ]]; then
    previous=\${COMP_WORDS[COMP_CWORD - 1]} current=""
  elif ((COMP_CWORD > 2)) && [[ \${COMP_WORDS[COMP_CWORD - 1]} == = ]]; then
    previous=\${COMP_WORDS[COMP_CWORD - 2]}
  elif ((COMP_CWORD > 0)) && [[ \${COMP_WORDS[COMP_CWORD - 1]} == -* ]]; then
    previous=\${COMP_WORDS[COMP_CWORD - 1]}
  fi

  if ((COMP_CWORD == 1)); then
    _holdfast_words "${names} help --help --version"
    return
  fi
  command=\${COMP_WORDS[1]}
  case $command in
${specs.map(commandCase).join("\n")}
    help)
      operand=words values="${names}"
      ;;
    *)
      return
      ;;
  esac

  # where somebody else's command line begins
  local operands=0 start=0
  for ((index = 2; index < COMP_CWORD; index++)); do
    if [[ \${COMP_WORDS[index]} == -- ]]; then
      start=$((index + 1))
      break
    elif [[ \${COMP_WORDS[index]} == -* ]]; then
      [[ " $with_value " == *" \${COMP_WORDS[index]} "* ]] && ((index++))
    elif ((++operands == 2)) && [[ $foreign == second ]]; then
      start=$index
      break
    fi
  done
  [[ $foreign == second ]] && ((start == 0 && operands == 1)) &&
    [[ $current != -* ]] && [[ " $with_value " != *" $previous "* ]] &&
    start=$COMP_CWORD
  if ((start > 0)); then
    if [[ -z $foreign ]]; then
      _holdfast_style "$operand"
    elif ((start >= COMP_CWORD)); then
      _holdfast_style command
    elif declare -F _command_offset >/dev/null; then
      _command_offset "$start"
    fi
    return
  fi

  ((operands > 0)) && operand=$later_operands
  if [[ -n $previous ]]; then
    _holdfast_value "$command" "$previous"
    if [[ -n $style ]]; then
      _holdfast_style "$style"
      return
    fi
  fi
  if [[ $current == -* ]]; then
    _holdfast_words "$options"
  else
    _holdfast_style "$operand"
  fi
}

# What the value of an option completes to: sets style, and values.
_holdfast_value() {
  case "$1 $2" in
${specs.flatMap(valueCases).join("\n")}
  esac
}

_holdfast_style() {
  case $1 in
    # readline's own completion of file names quotes what needs it
    file) compopt -o default 2>/dev/null ;;
    dir) compopt -o dirnames 2>/dev/null ;;
    command) mapfile -t COMPREPLY < <(compgen -c -- "$current") ;;
    pid) _holdfast_words "$(cd /proc && printf '%s\\n' [0-9]*)" ;;
    words) _holdfast_words "$values" ;;
  esac
}

_holdfast_words() {
  mapfile -t COMPREPLY < <(compgen -W "$1" -- "$current")
}

complete -F _holdfast holdfast
`;
}

function commandCase(spec: CommandSpec): string {
  const options = offeredOptions(spec);
  const { stopAtFirstOperand, operands } = spec;
  const [first, second] = operands;
  const foreign = !takesCommand(spec)
    ? ""
    : stopAtFirstOperand
    ? "second"
    : "dashes";
  const offered = options.flatMap((option) =>
    longNames(option).map((name) => `--${name}`)
  );
  const assignments = [
    `options="${offered.join(" ")}"`,
    `with_value="${options.filter(takesNextWord).flatMap(dashed).join(" ")}"`,
    `operand=${first?.values ? "words" : first?.complete ?? "none"}`,
    ...(first?.values ? [`values="${first.values.join(" ")}"`] : []),
    `later_operands=${(first?.values ? second : first)?.complete ?? "none"}`,
    `foreign="${foreign}"`,
  ];
  return [`    ${spec.name})`, ...assignments.map((line) => `      ${line}`)]
    .join("\n") + "\n      ;;";
}

function valueCases(spec: CommandSpec): string[] {
  return offeredOptions(spec).filter(({ value }) => value !== undefined)
    .map((option) => {
      const patterns = dashed(option).map((name) => `"${spec.name} ${name}"`);
      const effect = option.values === undefined
        ? `style=${styleOf(option)}`
        : `style=words values="${option.values.join(" ")}"`;
      return `    ${patterns.join(" | ")}) ${effect} ;;`;
    });
}

function styleOf({ complete = "none" }: OptionSpec): Completion {
  return complete;
}

function dashed(option: OptionSpec): string[] {
  return [
    ...[...option.short ?? ""].map((letter) => `-${letter}`),
    ...longNames(option).map((name) => `--${name}`),
  ];
}
