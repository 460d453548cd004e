/**
 * Paths as text that loses nothing: a file name is bytes, of any kind but NUL
 * and slash, and need not be UTF-8.
 *
 * A byte that is no part of UTF-8 becomes the lone surrogate U+DC00 plus the
 * byte, which stands for nothing else and turns into the byte again where the
 * text is handed to the kernel. (PEP 383 describes the method.)
 *
 * @module
 */

const encoder = new TextEncoder();
/* A byte order mark is part of a name like any other character. */
const lenient = new TextDecoder("utf-8", { ignoreBOM: true });
const REPLACEMENT = "\ufffd";
const ESCAPE = 0xdc00;

/**
 * Reads the bytes of a path.
 *
 * @param bytes The path, without a NUL behind it.
 * @returns Text from which {@linkcode encodePath} makes the same bytes.
 */
export function decodePath(bytes: Uint8Array): string {
  const text = lenient.decode(bytes);
  return text.includes(REPLACEMENT) ? decodeExactly(bytes) : text;
}

function decodeExactly(bytes: Uint8Array): string {
  const strict = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });
  let text = "";
  for (let at = 0; at < bytes.length;) {
    const character = bytes.subarray(at, at + sequenceLength(bytes[at]!));
    try {
      text += strict.decode(character);
      at += character.length;
    } catch {
      text += String.fromCharCode(ESCAPE + bytes[at++]!);
    }
  }
  return text;
}

/** How many bytes the character would have that begins with one. */
function sequenceLength(lead: number): number {
  return lead < 0xc2 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

/**
 * The bytes of a path.
 *
 * @throws {TypeError} when it has a surrogate that stands for no byte.
 */
export function encodePath(path: string): Uint8Array<ArrayBuffer> {
  if (path.isWellFormed()) return encoder.encode(path);
  const bytes: number[] = [];
  for (const character of path) {
    const code = character.codePointAt(0)!;
    if (code >= ESCAPE + 0x80 && code <= ESCAPE + 0xff) {
      bytes.push(code - ESCAPE);
    } else if (character.isWellFormed()) {
      bytes.push(...encoder.encode(character));
    } else {
      throw new TypeError("A path must not contain a surrogate by itself");
    }
  }
  return Uint8Array.from(bytes);
}

/** Whether the bytes of a path are UTF-8, as Deno's own file API needs them. */
export function isUtf8Path(path: string): boolean {
  return path.isWellFormed();
}

/** Whether a path is a directory or below it, by whole components. */
export function isWithin(path: string, directory: string): boolean {
  const { length } = directory.endsWith("/")
    ? directory.replace(/\/+$/, "")
    : directory;
  return path.startsWith(directory.slice(0, length)) &&
    (path.length === length || path[length] === "/");
}
