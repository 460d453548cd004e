import { printable } from "./printable.ts";

/** What to show in place of a command line that is empty or unreadable. */
export const CMDLINE_UNAVAILABLE = "<cmdline unavailable>";

/** Longest command line shown, in characters. */
const MAX_LENGTH = 100;

/** What stands between `deno run` and the script. */
const DENO_FLAGS = /^((?:[^\0]*\/)?deno\0run\0)(?:-[^\0]*\0)+/;

/**
 * Makes one safe, short line of /proc/PID/cmdline.
 *
 * The NULs that end the arguments become spaces, the last ones go, what a
 * terminal would obey is made visible by {@linkcode printable}, and what is
 * longer than 100 characters is cut, never within an escape, and ends in `…`.
 * The flags of `deno run` give way to a `…` too: they would leave no room for
 * the script and its arguments, which tell what the process does.
 * A process writes there what it likes. Needs no permission. See
 * proc_pid_cmdline(5).
 *
 * @param cmdline The bytes of the file, or its text.
 * @returns The line; undefined if the file is empty, as it is for a kernel
 * thread or a zombie: show {@linkcode CMDLINE_UNAVAILABLE}.
 *
 * @example
 * ```ts
 * import { formatCmdline } from "./cmdline.ts";
 * console.log(formatCmdline("sleep\0" + "60\0")); // sleep 60
 * ```
 */
export function formatCmdline(
  cmdline: Uint8Array | string,
): string | undefined {
  const text = (typeof cmdline === "string" ? cmdline : decodeStart(cmdline))
    .replace(DENO_FLAGS, "$1…\0");
  let end = text.length;
  while (end > 0 && text[end - 1] === "\0") end--;
  if (end === 0) return undefined;
  let line = "";
  let length = 0;
  // By code point, so that the cut divides no pair of surrogates.
  for (const character of text.slice(0, end)) {
    const shown = character === "\0" ? " " : printable(character);
    const shownLength = shown === character ? 1 : shown.length;
    if (length + shownLength > MAX_LENGTH) return line + "…";
    line += shown;
    length += shownLength;
  }
  return line;
}

/** As much of the text as can be shown, and a bit; it may have megabytes. */
function decodeStart(bytes: Uint8Array): string {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  const shown = bytes.subarray(0, Math.min(end, 4 * (MAX_LENGTH + 1)));
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(shown);
}
