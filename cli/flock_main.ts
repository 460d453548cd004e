/**
 * `holdfast flock` by itself, for `bin/flock`.
 *
 * Deno reads every module that a program can reach, by dynamic imports too,
 * before it starts: without the other commands this one starts 4 ms earlier.
 *
 * @module
 */

import { flockCommand } from "./commands/flock/command.ts";

async function main(args: string[]): Promise<number> {
  try {
    return await flockCommand(
      args.some((arg) => arg.includes("\ufffd"))
        ? (await import("./args/exact_arguments.ts")).exactArguments(args)
        : args,
    );
  } catch (error) {
    if (error instanceof Error && error.name === "HelpRequest") {
      const { formatHelp } = await import("./args/help.ts");
      const { FLOCK_SPEC } = await import("./commands/flock/spec.ts");
      const { writeOut } = await import("./ui/output.ts");
      const { terminalSize } = await import("./ui/terminal.ts");
      writeOut(formatHelp(FLOCK_SPEC, terminalSize("stdout").columns));
      return 0;
    }
    const { reportError } = await import("./ui/errors.ts");
    return await reportError("flock", error);
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args));
