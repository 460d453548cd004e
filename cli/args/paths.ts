import { type ParsedOptions, UsageError } from "./parse.ts";

/**
 * The operands of a command that takes nothing but paths.
 *
 * @throws {UsageError} for an empty one, as from a variable that isn't set: no
 * file is meant by it.
 */
export function pathOperands(options: ParsedOptions): string[] {
  const paths = [...options.operands, ...options.afterDashes ?? []];
  if (paths.includes("")) throw new UsageError("a path must not be empty");
  return paths;
}
