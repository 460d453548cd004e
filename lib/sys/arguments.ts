/**
 * The bytes of this process's arguments. The runtime hands them out as text,
 * with U+FFFD for what isn't UTF-8; a file name may be any bytes.
 *
 * @module
 */

import { readBytes } from "./file.ts";

const REPLACEMENT = "\ufffd";
const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** The arguments as they are; none when /proc isn't there. */
function readArguments(): Uint8Array<ArrayBuffer>[] {
  const bytes = readBytes("/proc/self/cmdline");
  if (typeof bytes === "number") return [];
  const found: Uint8Array<ArrayBuffer>[] = [];
  for (let start = 0; start < bytes.length;) {
    const end = bytes.indexOf(0, start);
    found.push(bytes.subarray(start, end));
    start = end + 1;
  }
  return found;
}

/**
 * The bytes behind the last arguments of this process, as far as their text
 * has lost any.
 *
 * @param texts Strings of which the last ones are the last arguments.
 * @returns For each the bytes, or `undefined` where the text says it all.
 */
export function bytesOfLastArguments(
  texts: readonly string[],
): (Uint8Array<ArrayBuffer> | undefined)[] {
  if (!texts.some((text) => text.includes(REPLACEMENT))) return [];
  const args = readArguments();
  return texts.map((text, index) => {
    const bytes = args[args.length - texts.length + index];
    return bytes !== undefined && text.includes(REPLACEMENT) &&
        decoder.decode(bytes) === text
      ? bytes
      : undefined;
  });
}

/** Whether a text may stand for an argument of this process that isn't UTF-8. */
export function isDecodedWithLoss(text: string): boolean {
  if (!text.includes(REPLACEMENT)) return false;
  const length = encoder.encode(text).length;
  return readArguments().some((bytes) =>
    bytes.length !== length && decoder.decode(bytes) === text
  );
}
