import { fromFileUrl } from "@std/path/from-file-url";
import { HelperProcess } from "./helper_process.ts";

const WORDS = new URL("./lock_script.ts", import.meta.url).href;
const CONFIG = fromFileUrl(new URL("../../deno.json", import.meta.url));

/** The arguments that make `deno` run a script; see {@linkcode runScript}. */
export function scriptArgs(script: string, ...args: string[]): string[] {
  return [
    "eval",
    "--quiet",
    "--config",
    CONFIG,
    `import * as words from ${JSON.stringify(WORDS)};
const { args, open, flock, tryFlock, posix, tryPosix, ofd, tryOfd, say, line,
  end, untilWaitedFor, SIGIO, ignoreSignal, takeLease } = words;
${script}`,
    ...args,
  ];
}

/**
 * Starts a helper process from a script, which must say "ready". The script
 * has the words of `lock_script.ts`, and its arguments in `args`.
 */
export function runScript(
  script: string,
  ...args: string[]
): Promise<HelperProcess> {
  return HelperProcess.start(Deno.execPath(), scriptArgs(script, ...args));
}
