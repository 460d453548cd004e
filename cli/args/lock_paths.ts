import { UsageError } from "./parse.ts";

/**
 * A path that isn't UTF-8 arrives here with other bytes, and would lock another
 * file.
 *
 * @throws {UsageError} for such a path among the arguments.
 */
export async function checkPaths(paths: readonly string[]): Promise<void> {
  const suspect = paths.filter((path) => path.includes("\ufffd"));
  if (suspect.length === 0) return;
  const { isDecodedWithLoss } = await import("../../lib/sys/arguments.ts");
  const path = suspect.find(isDecodedWithLoss);
  if (path === undefined) return;
  throw new UsageError(`the path of a lock file must be UTF-8: '${path}'`);
}
