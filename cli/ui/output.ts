/**
 * Output that has arrived when the call returns, so that `Deno.exit` right
 * after it loses nothing.
 *
 * @module
 */

const encoder = new TextEncoder();

/**
 * Writes all of a text to stdout.
 *
 * @throws {Deno.errors.BrokenPipe} when nobody reads it any more.
 */
export function writeOut(text: string): void {
  writeAll(Deno.stdout, text);
}

/** Writes all of a text to stderr; if nobody reads it, then not. */
export function writeError(text: string): void {
  try {
    writeAll(Deno.stderr, text);
  } catch {
    // There is no other place to say so.
  }
}

function writeAll(
  stream: { writeSync(bytes: Uint8Array): number },
  text: string,
): void {
  let bytes = encoder.encode(text);
  while (bytes.length > 0) {
    try {
      bytes = bytes.subarray(stream.writeSync(bytes));
    } catch (error) {
      // A pipe that another of its users has made non-blocking is full.
      if (!(error instanceof Deno.errors.WouldBlock)) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}
