import { fromFileUrl } from "@std/path/from-file-url";
import { type ProgramResult, runProgram } from "./run_program.ts";

const MAIN = fromFileUrl(new URL("../../cli/main.ts", import.meta.url));
const CONFIG = fromFileUrl(new URL("../../deno.json", import.meta.url));

/** The arguments that make `deno` run the command line tool. */
export function cliArgs(
  args: string[],
  permissions: string[] = ["-A"],
): string[] {
  return [
    "run",
    "--quiet",
    "--no-prompt",
    "--config",
    CONFIG,
    ...permissions,
    MAIN,
    ...args,
  ];
}

/** Runs the tool to its end, without a terminal. */
export async function runCli(
  args: string[],
  options: Parameters<typeof runProgram>[2] & { permissions?: string[] } = {},
): Promise<ProgramResult> {
  const { permissions, ...rest } = options;
  return await runProgram(Deno.execPath(), cliArgs(args, permissions), rest);
}
