import { fileOrder } from "../../lib/lock/lock_set.ts";
import { statPath } from "../../lib/sys/file.ts";
import type { TempDir } from "./temp_dir.ts";

/** New files of a directory, in the order in which groups lock them. */
export function filesInLockOrder(dir: TempDir, count: number): string[] {
  const files = Array.from({ length: count }, (_, index) => {
    const path = dir.join(`file${index}.lock`);
    Deno.writeTextFileSync(path, "");
    return { path, order: fileOrder(statPath(path)!) };
  });
  return files.sort((a, b) => a.order < b.order ? -1 : 1)
    .map(({ path }) => path);
}
