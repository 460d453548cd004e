import { fromFileUrl } from "../path/from_file_url.ts";
import { basename } from "../path/basename.ts";
import { join } from "../path/join.ts";

export interface WalkOptions {
  maxDepth?: number;
  includeFiles?: boolean;
  includeDirs?: boolean;
  includeSymlinks?: boolean;
  exts?: string[];
  match?: RegExp[];
  skip?: RegExp[];
}

export interface WalkEntry extends Deno.DirEntry {
  path: string;
}

/** Symbolic links are listed and not followed. */
export function* walkSync(
  root: string | URL,
  options: WalkOptions = {},
): IterableIterator<WalkEntry> {
  const top = root instanceof URL ? fromFileUrl(root) : root;
  const { isFile, isDirectory, isSymlink } = Deno.lstatSync(top);
  const name = basename(top);
  yield* visit({ path: top, name, isFile, isDirectory, isSymlink }, options, 0);
}

function* visit(
  entry: WalkEntry,
  options: WalkOptions,
  depth: number,
): IterableIterator<WalkEntry> {
  const { maxDepth = Infinity, skip = [] } = options;
  if (depth > maxDepth) return;
  if (isWanted(entry, options)) yield entry;
  const isSkipped = skip.some((pattern) => entry.path.search(pattern) >= 0);
  if (!entry.isDirectory || isSkipped || depth === maxDepth) return;
  for (const child of Deno.readDirSync(entry.path)) {
    const path = join(entry.path, child.name);
    yield* visit({ ...child, path }, options, depth + 1);
  }
}

function isWanted(
  { path, isDirectory, isSymlink }: WalkEntry,
  options: WalkOptions,
): boolean {
  const { exts, match, skip } = options;
  const included = isSymlink
    ? options.includeSymlinks
    : isDirectory
    ? options.includeDirs
    : options.includeFiles;
  return included !== false &&
    (exts?.some((ext) => path.endsWith(ext.replace(/^\.?/, "."))) ?? true) &&
    (match?.some((pattern) => path.search(pattern) >= 0) ?? true) &&
    !skip?.some((pattern) => path.search(pattern) >= 0);
}
