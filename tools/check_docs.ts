/**
 * Checks the documentation: every exported name of the library's entries has
 * some, and every example in it compiles and runs.
 *
 * The examples are compiled as a reader would, with Deno's own compiler
 * options. Ours would refuse all of them: `deno test --doc` imports each name
 * of the documented module into an example, and most are unused there.
 */

import { existsSync } from "@std/fs/exists";
import { ROOT } from "./project.ts";

interface Manifest {
  exports: Record<string, string>;
  compilerOptions?: Record<string, unknown>;
}

function deno(...args: string[]): boolean {
  return new Deno.Command(Deno.execPath(), {
    args,
    cwd: ROOT,
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
  }).outputSync().success;
}

const manifest = JSON.parse(
  Deno.readTextFileSync(`${ROOT}/deno.json`),
) as Manifest;
const { compilerOptions: _, ...readersManifest } = manifest;

const documented = deno("doc", "--lint", ...Object.values(manifest.exports));

// Beside deno.json, since its paths are relative to its folder.
const config = Deno.makeTempFileSync({
  dir: ROOT,
  prefix: ".examples-",
  suffix: ".json",
});
let examplesRun: boolean;
try {
  Deno.writeTextFileSync(config, JSON.stringify(readersManifest));
  const sources = ["mod.ts", "lib", "cli", "README.md", "docs"].filter((path) =>
    existsSync(`${ROOT}/${path}`)
  );
  examplesRun = deno(
    ...["test", "--allow-all", "--doc", "--quiet", "--config", config],
    ...sources,
  );
} finally {
  Deno.removeSync(config);
}

if (!documented || !examplesRun) Deno.exit(1);
