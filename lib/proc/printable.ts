/**
 * Untrusted text made safe to show: file names, command lines and file
 * contents come from other users and may carry terminal escapes.
 *
 * @module
 */

/* What a terminal would act on or hide: C0, DEL and C1 controls (Cc), the
 * characters that reorder text (Bidi_Control; "Trojan Source", CVE-2021-42574),
 * line and paragraph separators (Zl, Zp), and surrogates without a partner (Cs).
 * Written as \p{…} they would take 0.7 ms of every start. */
const UNPRINTABLE =
  // deno-lint-ignore no-control-regex
  /[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]/gu;

const SHORT_ESCAPES: Readonly<Record<string, string>> = {
  "\b": "\\b",
  "\t": "\\t",
  "\n": "\\n",
  "\v": "\\v",
  "\f": "\\f",
  "\r": "\\r",
  '"': '\\"',
  "\\": "\\\\",
};

/**
 * Makes the characters visible that a terminal would obey or hide.
 *
 * Control characters become `\n`, `\t`, … or `\x1b`, as bytes of a path do that
 * are no UTF-8; C1 controls, bidirectional overrides, line separators and
 * other lone surrogates become `\u{202e}`. All other text,
 * backslashes included, stays as it is, so the result is for reading and not
 * for parsing back. Needs no permission.
 *
 * @param text Any text.
 * @returns The text on one line; the same string when nothing had to change.
 *
 * @example
 * ```ts
 * import { printable } from "./printable.ts";
 * console.log(printable("red \x1b[31m\n")); // red \x1b[31m\n
 * ```
 */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, escapeCharacter);
}

/**
 * Puts a path between double quotes for a message.
 *
 * Escapes what {@linkcode printable} escapes, and also `"` and `\`, so that
 * two different paths never look alike. Needs no permission.
 *
 * @param path Any text, usually a path.
 * @returns The quoted text.
 *
 * @example
 * ```ts
 * import { quotePath } from "./printable.ts";
 * console.log(quotePath('/tmp/a "b"')); // "/tmp/a \"b\""
 * ```
 */
export function quotePath(path: string): string {
  return `"${printable(path.replace(/["\\]/g, escapeCharacter))}"`;
}

function escapeCharacter(character: string): string {
  const short = SHORT_ESCAPES[character];
  if (short !== undefined) return short;
  const code = character.codePointAt(0)!;
  // A byte that is no UTF-8, as decodePath has it.
  const isByte = code >= 0xdc80 && code <= 0xdcff;
  const hex = (isByte ? code - 0xdc00 : code).toString(16);
  return isByte || code < 0x80 ? `\\x${hex.padStart(2, "0")}` : `\\u{${hex}}`;
}
