/**
 * The command line tool, without anything that starts it.
 *
 * Deno reads every module that a program can reach, by dynamic imports too,
 * before it starts. `run` and `flock` are what scripts call a thousand times:
 * they alone are reached from here, and whoever starts the tool says how the
 * table of all commands is loaded.
 *
 * @module
 */

import type { CommandEntry } from "./commands/all.ts";
import type { HelpRequest } from "./args/parse.ts";
import type { CommandSpec } from "./args/spec.ts";

/** What is in `commands.ts`. */
export type CommandsModule = typeof import("./commands/all.ts");

/** Loads `commands.ts`. */
export type LoadCommands = () => Promise<CommandsModule>;

const OFTEN_USED: Readonly<Record<string, CommandEntry["load"]>> = {
  run: async () => (await import("./commands/run/command.ts")).runCommand,
  flock: async () => (await import("./commands/flock/command.ts")).flockCommand,
};

/**
 * Runs the tool: everything it has to say is written when this returns.
 *
 * @param args The arguments after the program's name.
 * @param loadCommands Loads the table of all commands, when it is needed.
 * @returns The exit code.
 */
export async function runTool(
  args: readonly string[],
  loadCommands: LoadCommands,
): Promise<number> {
  let program = "holdfast";
  try {
    const [name, ...rest] = args.some((arg) => arg.includes("\ufffd"))
      ? (await import("./args/exact_arguments.ts")).exactArguments(args)
      : args;
    const load = name === undefined ? undefined : own(OFTEN_USED, name) ??
      own((await loadCommands()).COMMANDS, name)?.load;
    if (load === undefined) {
      return await runGeneral(name, rest, await loadCommands());
    }
    program = `holdfast ${name}`;
    const run = await load();
    return await run(rest);
  } catch (error) {
    if (error instanceof Error && error.name === "HelpRequest") {
      return await printHelp((error as HelpRequest).spec);
    }
    const { reportError } = await import("./ui/errors.ts");
    return await reportError(program, error, async (unknown, candidates) => {
      const { suggest } = await loadCommands();
      return await suggest(unknown, candidates);
    });
  }
}

/** `constructor` and the like are not commands. */
function own<T>(record: Readonly<Record<string, T>>, name: string) {
  return Object.hasOwn(record, name) ? record[name] : undefined;
}

/** What doesn't belong to a command: help, the version, mistakes. */
async function runGeneral(
  name: string | undefined,
  rest: readonly string[],
  commands: CommandsModule,
): Promise<number> {
  const { UsageError } = await import("./args/parse.ts");
  const names = Object.keys(commands.COMMANDS);
  switch (name) {
    case undefined:
      throw new UsageError("missing command", {
        hint: `Commands: ${names.join(", ")}`,
      });
    case "-h":
    case "--help":
    case "help":
      return await printHelpOn(rest[0], commands);
    case "-V":
    case "--version": {
      const { VERSION } = await import("./version.ts");
      const { writeOut } = await import("./ui/output.ts");
      writeOut(`holdfast ${VERSION}\n`);
      return 0;
    }
  }
  throw name.startsWith("-")
    ? new UsageError(`unrecognized option '${name}'`, {
      unknown: name,
      candidates: ["--help", "--version"],
    })
    : new UsageError(`unknown command '${name}'`, {
      unknown: name,
      candidates: [...names, "help"],
    });
}

/** Prints the help of one command, or the list of all. */
async function printHelpOn(
  name: string | undefined,
  commands: CommandsModule,
): Promise<number> {
  if (name !== undefined) {
    const command = own(commands.COMMANDS, name);
    if (command === undefined) return await runGeneral(name, [], commands);
    return await printHelp(await command.spec());
  }
  const { formatCommandList } = await import("./args/help.ts");
  return await print(formatCommandList, await commands.loadSpecs());
}

/** Prints the help of a command. */
async function printHelp(spec: CommandSpec): Promise<number> {
  const { formatHelp } = await import("./args/help.ts");
  return await print(formatHelp, spec);
}

async function print<T>(
  format: (value: T, width: number) => string,
  value: T,
): Promise<number> {
  const { writeOut } = await import("./ui/output.ts");
  const { terminalSize } = await import("./ui/terminal.ts");
  writeOut(format(value, terminalSize("stdout").columns));
  return 0;
}
