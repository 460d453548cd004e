import { fromFileUrl } from "../path/from_file_url.ts";
import { join } from "../path/join.ts";
import { ensureDirSync } from "./ensure_dir.ts";

export function emptyDirSync(dir: string | URL): void {
  const path = dir instanceof URL ? fromFileUrl(dir) : dir;
  ensureDirSync(path);
  for (const { name } of Deno.readDirSync(path)) {
    Deno.removeSync(join(path, name), { recursive: true });
  }
}
