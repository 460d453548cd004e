/**
 * The command line byte for byte. The runtime hands out U+FFFD for what isn't
 * UTF-8: a lock file or a command would get another name.
 *
 * @module
 */

import { encodePath } from "../../lib/proc/path_text.ts";
import { readArguments } from "../../lib/sys/process/arguments.ts";
import { UsageError } from "./parse.ts";

const REPLACEMENT = "\ufffd";

/**
 * Arguments as the user gave them, for the kernel to understand.
 *
 * @param args The arguments as the runtime has them, some with U+FFFD.
 * @throws {UsageError} when some may have been other bytes and nothing tells.
 */
export function exactArguments(
  args: readonly string[],
): string[] {
  const all = readArguments();
  if (all === undefined) {
    const suspect = args.find((arg) => arg.includes(REPLACEMENT));
    throw new UsageError(
      `an argument isn't UTF-8, or has U+FFFD in it: '${suspect}'`,
      { hint: "Which of the two is told by /proc, which isn't there" },
    );
  }
  const last = all.slice(-args.length);
  // Somebody else's words have been given to main().
  return last.every((arg, index) => withLoss(arg) === args[index])
    ? last
    : [...args];
}

/** What the runtime makes of an argument. */
function withLoss(arg: string): string {
  return arg.isWellFormed()
    ? arg
    : new TextDecoder("utf-8", { ignoreBOM: true }).decode(encodePath(arg));
}
