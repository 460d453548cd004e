import { parseArgs } from "@std/cli/parse-args";

/** What a tool was asked for. */
export interface ToolArguments<Switch extends string> {
  /** Which switches were given. */
  switches: Record<Switch, boolean>;
  /** The words that are no options. */
  operands: string[];
}

/**
 * Reads the arguments of a tool. One that it doesn't have ends it: the name of
 * a file would be the least that a misspelled option is taken for.
 *
 * @param args The arguments.
 * @param most How many operands there may be.
 * @param names The switches there are.
 */
export function readArguments<const Switch extends string = never>(
  args: readonly string[],
  most: number,
  ...names: Switch[]
): ToolArguments<Switch> {
  const found: Record<string, unknown> = parseArgs([...args], {
    boolean: [...names] as string[],
    unknown: (word, key) => key === undefined || refuse(word),
  });
  const operands = (found._ as unknown[]).map(String);
  if (operands.length > most) refuse(operands[most]!);
  const given = names.map((name) => [name, found[name] === true]);
  return { switches: Object.fromEntries(given), operands };
}

function refuse(word: string): never {
  console.error(`unexpected argument "${word}"`);
  Deno.exit(64);
}
