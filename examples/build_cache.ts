/**
 * A build that is made once, however many ask for it at the same time: the
 * first one builds, the others wait and share. Nobody sees half of it.
 *
 * ```sh
 * deno run --allow-ffi --allow-read --allow-write build_cache.ts DIR KEY
 * ```
 */
import { getOrBuild } from "@holdfast/holdfast/patterns";

const [directory, key] = Deno.args;
if (directory === undefined || key === undefined) {
  console.error("usage: build_cache.ts DIR KEY");
  Deno.exit(64);
}

using entry = await getOrBuild(key, build, { directory, timeoutMs: 60_000 });
console.log(`${entry.built ? "built" : "found"} ${entry.path}`);

/** Stands for a compiler; it leaves a trace, so that one can count builds. */
async function build(path: string): Promise<void> {
  Deno.writeTextFileSync(`${directory}/builds.log`, `${key}\n`, {
    append: true,
  });
  await new Promise((resolve) => setTimeout(resolve, 100));
  Deno.writeTextFileSync(path, `the result for ${key}\n`);
}
