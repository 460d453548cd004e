/**
 * `holdfast completions`: scripts for shells out of the command table.
 *
 * @module
 */

import { COMPLETIONS_SPEC } from "./spec.ts";
import { EXIT } from "../../ui/exit_codes.ts";
import { parseOptions, UsageError } from "../../args/parse.ts";
import { writeOut } from "../../ui/output.ts";
import type { CommandSpec } from "../../args/spec.ts";

type Generator = (specs: readonly CommandSpec[]) => string;

const GENERATORS: Readonly<Record<string, () => Promise<Generator>>> = {
  bash: async () =>
    (await import("../../args/completions/bash.ts")).bashCompletions,
  zsh: async () =>
    (await import("../../args/completions/zsh.ts")).zshCompletions,
  fish: async () =>
    (await import("../../args/completions/fish.ts")).fishCompletions,
};

/**
 * Runs the subcommand and gives the exit code.
 *
 * @param specs The tables of all commands.
 */
export async function completionsCommand(
  args: string[],
  specs: readonly CommandSpec[],
): Promise<number> {
  const options = parseOptions(COMPLETIONS_SPEC, args);
  const [shell, ...more] = [
    ...options.operands,
    ...options.afterDashes ?? [],
  ];
  const hint = `It is one of: ${Object.keys(GENERATORS).join(", ")}`;
  if (shell === undefined) throw new UsageError("missing shell", { hint });
  if (more.length > 0) {
    throw new UsageError(`unexpected operand '${more[0]}'`);
  }
  if (!Object.hasOwn(GENERATORS, shell)) {
    throw new UsageError(`no completions for shell '${shell}'`, {
      unknown: shell,
      candidates: Object.keys(GENERATORS),
      hint,
    });
  }
  const generate = await GENERATORS[shell]!();
  writeOut(generate(specs));
  return EXIT.OK;
}
