import { fromFileUrl } from "@std/path/from-file-url";

/** The project's root, without a slash at the end. */
export const ROOT: string = fromFileUrl(new URL("..", import.meta.url))
  .replace(/\/$/, "");

/** Where the sources are published: what npm and JSR show links to it. */
export const REPOSITORY = "https://github.com/holdfast/holdfast";

/** The configuration as it is on disk. */
export interface ProjectConfig {
  name: string;
  version: string;
  license: string;
  exports: Record<string, string>;
}

/** Reads `deno.json`. */
export function readConfig(): ProjectConfig {
  return JSON.parse(Deno.readTextFileSync(`${ROOT}/deno.json`));
}

/**
 * Runs Deno in the project's root.
 *
 * @throws {Error} with what it wrote, when it fails.
 */
export async function runDeno(args: string[]): Promise<string> {
  const output = await new Deno.Command(Deno.execPath(), {
    args,
    cwd: ROOT,
    env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
  }).output();
  const decoder = new TextDecoder();
  if (!output.success) {
    const said = decoder.decode(output.stderr);
    throw new Error(`deno ${args.join(" ")} failed:\n${said}`);
  }
  return decoder.decode(output.stdout);
}

/** A size for people. */
export function formatSize(path: string): string {
  const { size } = Deno.statSync(path);
  return size < 1e6
    ? `${Math.ceil(size / 1000)} kB`
    : `${(size / 1e6).toFixed(1)} MB`;
}
