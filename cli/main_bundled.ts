/**
 * The tool with all of its commands in reach, as it is bundled and compiled.
 *
 * @module
 */

import { runTool } from "./tool.ts";

if (import.meta.main) {
  Deno.exit(await runTool(Deno.args, () => import("./commands/all.ts")));
}
