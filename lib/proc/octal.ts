/** A run of escapes: one non-ASCII character takes several. */
const ESCAPES = /(?:\\[0-3][0-7][0-7])+/g;

/**
 * Decodes the `\NNN` escapes that the kernel writes into mountinfo.
 *
 * The kernel escapes at least space `\040`, tab `\011`, newline `\012` and
 * backslash `\134`, some files also `#` and `,`; any byte is decoded, and runs
 * of bytes are read as UTF-8, with U+FFFD for what isn't. A backslash that
 * starts no such escape stays. Needs no permission. See `seq_escape` in
 * fs/seq_file.c.
 *
 * @param text The text of one field.
 * @returns The decoded text.
 *
 * @example
 * ```ts
 * import { decodeOctal } from "./octal.ts";
 * console.log(decodeOctal("/mnt/my\\040disk")); // /mnt/my disk
 * ```
 */
export function decodeOctal(text: string): string {
  return text.includes("\\") ? text.replace(ESCAPES, decodeRun) : text;
}

function decodeRun(run: string): string {
  if (run.length === 4) {
    const code = parseInt(run.slice(1), 8);
    if (code < 0x80) return String.fromCharCode(code);
  }
  const bytes = new Uint8Array(run.length / 4);
  for (let i = 0; i < bytes.length; i++) {
    bytes[i] = parseInt(run.slice(4 * i + 1, 4 * i + 4), 8);
  }
  // Without ignoreBOM a name that starts with U+FEFF would lose it.
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
}
