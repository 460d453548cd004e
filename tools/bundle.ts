/**
 * Makes one JavaScript file of the command line tool: it starts faster, needs
 * no configuration, and can be copied anywhere.
 *
 * ```sh
 * deno task bundle [FILE]    # dist/holdfast.js unless given
 * ```
 *
 * @module
 */

import { CLI_PERMISSIONS } from "./cli_permissions.ts";
import { formatSize, readConfig, ROOT, runDeno } from "./project.ts";

/**
 * Writes the bundle, an executable file.
 *
 * @param target Where to.
 */
export async function bundle(target: string): Promise<void> {
  const { version, license } = readConfig();
  await runDeno([
    "bundle",
    "--quiet",
    // Read at every start, and by nobody.
    "--minify",
    "--platform",
    "deno",
    "--output",
    target,
    "cli/main_bundled.ts",
  ]);
  const permissions = CLI_PERMISSIONS.join(" ");
  const head = [
    `#!/usr/bin/env -S deno run --quiet --no-prompt --no-config --ext=js ${permissions}`,
    `// holdfast ${version}, ${license} licence; contains parts of @std/path ` +
    `and @std/text, MIT licence.`,
  ];
  const code = Deno.readTextFileSync(target).replace(/^#!.*\n/, "");
  Deno.writeTextFileSync(target, `${head.join("\n")}\n${code}`);
  Deno.chmodSync(target, 0o755);
}

if (import.meta.main) {
  const target = Deno.args[0] ?? `${ROOT}/dist/holdfast.js`;
  await bundle(target);
  console.log(`${target}: ${formatSize(target)}`);
}
