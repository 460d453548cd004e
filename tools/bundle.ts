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

import { readArguments } from "./arguments.ts";
import { CLI_PERMISSIONS } from "./cli_permissions.ts";
import { formatSize, readConfig, ROOT, runDeno } from "./project.ts";

/**
 * Writes the bundle, an executable file.
 *
 * @param target Where to.
 */
export async function bundle(target: string): Promise<void> {
  const { version, license } = readConfig();
  await runBundler("cli/main_bundled.ts", target, ["--external", ...LAZY]);
  const permissions = CLI_PERMISSIONS.join(" ");
  const head = [
    `#!/usr/bin/env -S deno run --quiet --no-prompt --no-config --ext=js ${permissions}`,
    `// holdfast ${version}, ${license} licence; contains parts of @std/path ` +
    `and @std/text, MIT licence, and of postgres, Unlicense.`,
  ];
  const code = (await embedLazy(Deno.readTextFileSync(target)))
    .replace(/^#!.*\n/, "");
  Deno.writeTextFileSync(target, `${head.join("\n")}\n${code}`);
  Deno.chmodSync(target, 0o755);
}

/**
 * Packages that are imported where they are needed, and import parts of node:.
 * In the code of the bundle those would be loaded at every start, for 30 ms.
 */
const LAZY = ["postgres"];

/** Puts each in place of its import, as a module of its own in a text. */
async function embedLazy(code: string): Promise<string> {
  const source = Deno.makeTempFileSync({ suffix: ".js" });
  try {
    for (const name of LAZY) {
      const lazyImport = `import(${JSON.stringify(name)})`;
      if (!code.includes(lazyImport)) continue;
      await runBundler(import.meta.resolve(name), source, []);
      const text = Deno.readFileSync(source).toBase64();
      const url = `data:text/javascript;base64,${text}`;
      code = code.replaceAll(lazyImport, () => `import("${url}")`);
    }
  } finally {
    Deno.removeSync(source);
  }
  return code;
}

async function runBundler(
  entry: string,
  output: string,
  options: readonly string[],
): Promise<void> {
  await runDeno([
    "bundle",
    "--quiet",
    // Read at every start, and by nobody.
    "--minify",
    "--platform",
    "deno",
    ...options,
    "--output",
    output,
    entry,
  ]);
}

if (import.meta.main) {
  const [target = `${ROOT}/dist/holdfast.js`] =
    readArguments(Deno.args, 1).operands;
  await bundle(target);
  console.log(`${target}: ${formatSize(target)}`);
}
