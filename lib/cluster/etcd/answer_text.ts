/**
 * What a server answers, read as it comes.
 *
 * @module
 */

/**
 * The text of an answer, piece by piece. The signal's abort closes what is left
 * of it.
 *
 * The signal that fetch was given isn't enough: Deno 2.9 forgets it when the
 * Response has become garbage, although its body is still read, and the answer
 * of a server that keeps silent would have no end.
 *
 * @throws `signal.reason` when the signal aborts.
 */
export async function* readPieces(
  { body }: Response,
  signal: AbortSignal,
): AsyncGenerator<string> {
  if (body === null) return;
  const reader = body.getReader();
  const decoder = new TextDecoder();
  // A stream that fetch itself has ended can't be cancelled any more.
  const cancel = () => reader.cancel().catch(() => {});
  signal.addEventListener("abort", cancel);
  try {
    for (;;) {
      signal.throwIfAborted();
      const { done, value } = await reader.read();
      // What has been cancelled looks as if it had ended.
      signal.throwIfAborted();
      if (done) break;
      yield decoder.decode(value, { stream: true });
    }
    yield decoder.decode();
  } finally {
    signal.removeEventListener("abort", cancel);
    cancel();
  }
}

/** The whole text of an answer; see {@linkcode readPieces}. */
export async function readText(
  answer: Response,
  signal: AbortSignal,
): Promise<string> {
  let text = "";
  for await (const piece of readPieces(answer, signal)) text += piece;
  return text;
}
