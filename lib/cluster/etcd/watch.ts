import { GatewayFailure } from "./failures.ts";
import { type Gateway, pause } from "./gateway.ts";
import { prefixRange, toBase64, type WatchLine } from "./wire.ts";

/** What is watched for being deleted: a key, or all keys that begin so. */
export type WatchTarget = { key: string } | { prefix: string };

/** A server that refuses a watch isn't asked for one at every moment. */
const PAUSE_MS = 200;

/**
 * Waits until one of some keys is deleted, or until that may have gone
 * unnoticed: the stream ends, the server that is asked changes, the watch is
 * refused or the signal aborts. The stream never outlives the call.
 *
 * A frozen server keeps a watch open for ever. It doesn't renew leases either:
 * the change of server that a failed renewal brings about ends the watch.
 *
 * @param fromRevision The first revision whose changes count. It must be one
 * that is yet to come: etcd serves others from its history, in steps of 100 ms.
 */
export async function waitForDelete(
  gateway: Gateway,
  targets: readonly WatchTarget[],
  fromRevision: bigint,
  signal: AbortSignal,
): Promise<void> {
  const end = new AbortController();
  const stop = () => end.abort();
  if (signal.aborted) return;
  signal.addEventListener("abort", stop);
  const unlisten = gateway.onFailOver(stop);
  // One stream carries several watches: the body is one request after another.
  const body = targets.map((target) =>
    JSON.stringify({
      create_request: {
        ...("key" in target
          ? { key: toBase64(target.key) }
          : prefixRange(target.prefix)),
        start_revision: String(fromRevision),
        filters: ["NOPUT"],
      },
    })
  ).join("\n");
  try {
    const stream = await gateway.stream("watch", body, end.signal);
    await firstDelete(stream);
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    if (error instanceof GatewayFailure && error.kind === "denied") throw error;
    if (!end.signal.aborted) await pause(PAUSE_MS, end.signal);
  } finally {
    end.abort();
    unlisten();
    signal.removeEventListener("abort", stop);
  }
}

/** Reads lines until one tells of a change, an error or the end. */
async function firstDelete(stream: ReadableStream<Uint8Array>): Promise<void> {
  const text = stream.pipeThrough(
    new TextDecoderStream() as TransformStream<Uint8Array, string>,
  );
  let rest = "";
  for await (const chunk of text) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop()!;
    for (const line of lines) {
      if (line.trim() === "") continue;
      const { result, error } = JSON.parse(line) as WatchLine;
      if (error !== undefined || result?.canceled) return;
      if (result?.events?.some(({ type }) => type === "DELETE")) return;
    }
  }
}
