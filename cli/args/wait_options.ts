/**
 * The options by which the small commands wait for a lock.
 *
 * @module
 */

import { isFirstProcess } from "../../lib/sys/process/exec.ts";
import { endBySignals } from "../ui/first_process.ts";
import { parseDuration } from "./duration.ts";
import type { ParsedOptions } from "./parse.ts";
import { RUN_SPEC } from "../commands/run/spec.ts";
import type { OptionSpec } from "./spec.ts";

const NAMES = ["nonblock", "timeout", "allow-remote", "allow-nested"];

/** Their entries in a command's table: those of `run`. */
export const WAIT_OPTIONS: readonly OptionSpec[] = RUN_SPEC.options
  .filter(({ long }) => NAMES.includes(long))
  .map(({ group: _, ...option }) => option);

/** What they say, as the library takes it. */
export function readWaitOptions(
  options: ParsedOptions,
): {
  timeoutMs: number;
  allowRemote: boolean;
  allowNested: boolean;
  onWait: (() => void) | undefined;
} {
  const timeout = options.value("timeout");
  return {
    timeoutMs: options.last("nonblock", "timeout") === "nonblock"
      ? 0
      : timeout === undefined
      ? Infinity
      : parseDuration(timeout),
    allowRemote: options.flag("allow-remote"),
    allowNested: options.flag("allow-nested"),
    // Its end is that of all processes of its namespace.
    onWait: isFirstProcess() ? () => void endBySignals() : undefined,
  };
}
