/**
 * The bytes of this process's arguments. The runtime hands them out as text,
 * with U+FFFD for what isn't UTF-8; a file name may be any bytes.
 *
 * @module
 */

import { decodePath } from "../../proc/path_text.ts";
import { readBytes } from "../file.ts";

/**
 * The arguments of this process, the program's name first, with what isn't
 * UTF-8 as `decodePath` has it.
 *
 * Permissions: `--allow-ffi`. See proc_pid_cmdline(5).
 *
 * @returns The arguments; `undefined` when /proc isn't there.
 */
export function readArguments(): string[] | undefined {
  const bytes = readBytes("/proc/self/cmdline");
  if (typeof bytes === "number") return undefined;
  const found: string[] = [];
  for (let start = 0; start < bytes.length;) {
    const end = bytes.indexOf(0, start);
    found.push(decodePath(bytes.subarray(start, end)));
    start = end + 1;
  }
  return found;
}
