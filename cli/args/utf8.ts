import { isUtf8Path } from "../../lib/proc/path_text.ts";
import { UsageError } from "./parse.ts";

/**
 * Refuses words that aren't UTF-8, where they go through the runtime's own
 * calls, which would make others of them.
 *
 * @param words What the user gave.
 * @param what What each is: `the directory of a cache`.
 * @throws {UsageError} for the first of them.
 */
export function checkUtf8(words: readonly string[], what: string): void {
  const odd = words.find((word) => !isUtf8Path(word));
  if (odd === undefined) return;
  throw new UsageError(`${what} must be UTF-8: '${odd}'`);
}
