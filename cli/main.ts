/**
 * The command line tool `holdfast`.
 *
 * ```ts
 * import { main } from "@holdfast/holdfast/cli";
 *
 * const code = await main(["run", "/tmp/example.lock", "--", "true"]);
 * console.log(`exit code ${code}`);
 * ```
 *
 * From a shell it is `deno run -A jsr:@holdfast/holdfast/cli run FILE -- CMD`.
 * `run` and `flock` need `--allow-ffi`; every other command also needs
 * `--allow-read`, with which it is loaded, and parts of the tool
 * `--allow-env`, `--allow-run`, `--allow-sys` and `--allow-write`.
 *
 * @module
 */

import { type CommandsModule, runTool } from "./tool.ts";

/**
 * Runs the tool: everything it has to say is written when this returns.
 *
 * @param args The arguments after the program's name.
 * @returns The exit code.
 */
export function main(args: readonly string[]): Promise<number> {
  return runTool(args, loadCommands);
}

/* Not a literal: Deno would read all commands before it starts this one. */
async function loadCommands(): Promise<CommandsModule> {
  try {
    return await import(new URL("./commands/all.ts", import.meta.url).href);
  } catch (error) {
    // The module loader has another error for what it is not permitted to do.
    if (error instanceof TypeError && error.message.startsWith("Requires ")) {
      throw new Deno.errors.NotCapable(error.message);
    }
    throw error;
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args));
