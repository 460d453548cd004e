import { fromFileUrl } from "@std/path/from-file-url";

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

/** What one run of the tool gave. */
export interface CliResult {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs the tool to its end, without a terminal. */
export async function runCli(
  args: string[],
  options: {
    permissions?: string[];
    env?: Record<string, string>;
    cwd?: string;
    stdin?: "null" | "inherit";
  } = {},
): Promise<CliResult> {
  const { permissions, stdin = "null", ...rest } = options;
  const output = await new Deno.Command(Deno.execPath(), {
    args: cliArgs(args, permissions),
    stdin,
    ...rest,
  }).output();
  const decoder = new TextDecoder();
  return {
    code: output.code,
    stdout: decoder.decode(output.stdout),
    stderr: decoder.decode(output.stderr),
  };
}
