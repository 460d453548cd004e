/**
 * What the completions of every shell need to know of the command table.
 *
 * @module
 */

import { allOptions } from "../parse.ts";
import type { CommandSpec, OptionSpec } from "../spec.ts";

/** The options to offer. */
export function offeredOptions(spec: CommandSpec): OptionSpec[] {
  return allOptions(spec).filter(({ hidden }) => !hidden);
}

/** Whether the word after the option is its value; `[INTERVAL]` needs a `=`. */
export function takesNextWord({ value }: OptionSpec): boolean {
  return value !== undefined && !value.startsWith("[");
}

/** Whether a command line of somebody else's is among the operands. */
export function takesCommand(spec: CommandSpec): boolean {
  return spec.operands.some(({ complete }) => complete === "command");
}
