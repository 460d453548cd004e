/**
 * Makes binaries that need no Deno, of the bundle: nothing else is embedded.
 *
 * ```sh
 * deno task compile                                # for this machine
 * deno task compile aarch64-unknown-linux-gnu      # for another
 * deno task compile all                            # for all
 * ```
 *
 * Deno downloads the runtime that goes into them from dl.deno.land; where that
 * can't be reached, `DENORT_BIN` names a copy of it.
 *
 * @module
 */

import { readArguments } from "./arguments.ts";
import { bundle } from "./bundle.ts";
import { CLI_PERMISSIONS } from "./cli_permissions.ts";
import { formatSize, ROOT, runDeno } from "./project.ts";

/** The platforms that holdfast knows. */
export const TARGETS = [
  "x86_64-unknown-linux-gnu",
  "aarch64-unknown-linux-gnu",
] as const;

/**
 * The arguments of Deno that compile a bundle.
 *
 * @param source The bundle.
 * @param output The binary to write.
 * @param target The platform; this machine's when undefined.
 */
export function compileArgs(
  source: string,
  output: string,
  target?: string,
): string[] {
  return [
    "compile",
    "--no-check",
    "--no-config",
    "--no-npm",
    "--no-remote",
    "--no-prompt",
    ...CLI_PERMISSIONS,
    ...(target === undefined ? [] : ["--target", target]),
    "--output",
    output,
    source,
  ];
}

if (import.meta.main) {
  const [wanted] = readArguments(Deno.args, 1).operands;
  const targets = wanted === "all" ? TARGETS : [wanted];
  const source = `${ROOT}/dist/holdfast.js`;
  await bundle(source);
  for (const target of targets) {
    const output = `${ROOT}/dist/holdfast${target ? `-${target}` : ""}`;
    try {
      await runDeno(compileArgs(source, output, target));
    } catch (error) {
      console.error(error instanceof Error ? error.message : error);
      console.error(
        "If the download failed: set DENORT_BIN to a copy of denort, from the " +
          "release of the same version of Deno. The bundle dist/holdfast.js " +
          "is there, and runs wherever Deno does.",
      );
      Deno.exit(1);
    }
    console.log(`${output}: ${formatSize(output)}`);
  }
}
