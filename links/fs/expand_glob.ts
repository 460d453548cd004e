import { fromFileUrl } from "../path/from_file_url.ts";
import { globToRegExp } from "../path/glob_to_regexp.ts";
import { isGlob } from "../path/is_glob.ts";
import { resolve } from "../path/resolve.ts";
import { existsSync } from "./exists.ts";
import { type WalkEntry, walkSync } from "./walk.ts";

export type { WalkEntry } from "./walk.ts";

export interface ExpandGlobOptions {
  root?: string;
  includeDirs?: boolean;
}

/** What matches, by path. Symbolic links are listed and not followed. */
export function* expandGlobSync(
  glob: string | URL,
  { root = ".", includeDirs = true }: ExpandGlobOptions = {},
): IterableIterator<WalkEntry> {
  const given = glob instanceof URL ? fromFileUrl(glob) : glob;
  const parts = resolve(root, given).split("/");
  const firstGlob = parts.findIndex((part) => isGlob(part));
  const fixed = firstGlob < 0 ? parts : parts.slice(0, firstGlob);
  const base = fixed.join("/") || "/";
  if (!existsSync(base)) return;
  const pattern = globToRegExp(parts.join("/"), { globstar: true });
  const maxDepth = parts.includes("**")
    ? Infinity
    : parts.length - fixed.length;
  yield* [...walkSync(base, { maxDepth, includeDirs, match: [pattern] })]
    .sort((a, b) => a.path < b.path ? -1 : 1);
}
