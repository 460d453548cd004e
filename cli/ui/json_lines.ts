/**
 * Reading files of JSON lines.
 *
 * @module
 */

/** The value of a line; `undefined` for one that is no JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The last line of a file that is still written to, or no JSON at all.
    return undefined;
  }
}

/** The lines of a stream, the last one even without a line end. */
export async function* linesOf(
  stream: ReadableStream<Uint8Array>,
): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
  if (rest !== "") yield rest;
}
