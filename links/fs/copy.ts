import { fromFileUrl } from "../path/from_file_url.ts";
import { join } from "../path/join.ts";

export interface CopyOptions {
  overwrite?: boolean;
}

/** A file, a symbolic link, or a directory with all that is in it. */
export function copySync(
  src: string | URL,
  dest: string | URL,
  options: CopyOptions = {},
): void {
  const from = src instanceof URL ? fromFileUrl(src) : src;
  const to = dest instanceof URL ? fromFileUrl(dest) : dest;
  const { isDirectory, isSymlink } = Deno.lstatSync(from);
  if (isThere(to)) {
    if (options.overwrite !== true) {
      throw new Deno.errors.AlreadyExists(`'${to}' already exists`);
    }
    if (isSymlink) Deno.removeSync(to);
  }
  if (isSymlink) return Deno.symlinkSync(Deno.readLinkSync(from), to);
  if (!isDirectory) return Deno.copyFileSync(from, to);
  Deno.mkdirSync(to, { recursive: true });
  for (const { name } of Deno.readDirSync(from)) {
    copySync(join(from, name), join(to, name), options);
  }
}

function isThere(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
