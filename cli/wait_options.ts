/**
 * The options by which the small commands wait for a lock.
 *
 * @module
 */

import { parseDuration } from "./duration.ts";
import type { ParsedOptions } from "./options.ts";
import type { OptionSpec } from "./spec.ts";

/** Their entries in a command's table. */
export const WAIT_OPTIONS: readonly OptionSpec[] = [
  {
    long: "nonblock",
    short: "n",
    help: "give up at once when the lock is taken, like -w 0",
  },
  {
    long: "timeout",
    aliases: ["wait"],
    short: "w",
    value: "DURATION",
    help: "give up after so long",
  },
  {
    long: "allow-remote",
    help: "lock even where the filesystem makes no promise, such as NFS",
  },
];

/** What they say, as the library takes it. */
export function readWaitOptions(
  options: ParsedOptions,
): { timeoutMs: number; allowRemote: boolean } {
  const timeout = options.value("timeout");
  return {
    timeoutMs: options.flag("nonblock")
      ? 0
      : timeout === undefined
      ? Infinity
      : parseDuration(timeout),
    allowRemote: options.flag("allow-remote"),
  };
}
