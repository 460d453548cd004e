/**
 * Makes the npm package: the bundle, and a starter for the Deno that npm
 * installs with it.
 *
 * ```sh
 * deno task npm && npm publish dist/npm --access public
 * ```
 *
 * @module
 */

import { copySync } from "@std/fs/copy";
import { emptyDirSync } from "@std/fs/empty-dir";
import { readArguments } from "./arguments.ts";
import { bundle } from "./bundle.ts";
import { CLI_PERMISSIONS } from "./cli_permissions.ts";
import { readConfig, REPOSITORY, ROOT } from "./project.ts";

/**
 * Writes the package's files.
 *
 * @param directory Where to; it is emptied first.
 */
export async function buildNpm(directory: string): Promise<void> {
  const { name, version, license } = readConfig();
  emptyDirSync(directory);
  await bundle(`${directory}/holdfast.js`);
  const starter = Deno.readTextFileSync(`${ROOT}/npm/holdfast.sh`)
    .replace("@PERMISSIONS@", CLI_PERMISSIONS.join(" "));
  Deno.writeTextFileSync(`${directory}/holdfast`, starter, { mode: 0o755 });
  for (const file of ["README.md", "CHANGELOG.md", "LICENSE"]) {
    copySync(`${ROOT}/${file}`, `${directory}/${file}`);
  }
  const manifest = {
    name,
    version,
    description: "File locks that a script can trust and explain: the " +
      "command line tool",
    license,
    repository: { type: "git", url: `git+${REPOSITORY}.git` },
    homepage: `${REPOSITORY}#readme`,
    keywords: ["flock", "lock", "file-lock", "mutex", "cron", "cli"],
    bin: { holdfast: "holdfast" },
    files: ["holdfast", "holdfast.js", "CHANGELOG.md"],
    os: ["linux"],
    cpu: ["x64", "arm64"],
    libc: ["glibc"],
    dependencies: { deno: "^2.9.0" },
  };
  Deno.writeTextFileSync(
    `${directory}/package.json`,
    JSON.stringify(manifest, null, 2) + "\n",
  );
}

if (import.meta.main) {
  const [directory = `${ROOT}/dist/npm`] = readArguments(Deno.args, 1).operands;
  await buildNpm(directory);
  console.log(directory);
}
