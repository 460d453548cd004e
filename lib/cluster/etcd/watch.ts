import { GatewayFailure } from "./failures.ts";
import { type Gateway, pause } from "./gateway.ts";
import { fromBase64, prefixRange, toBase64, type WatchLine } from "./wire.ts";

/** What is watched for being deleted: some keys, or all that begin so. */
export type WatchTarget = { keys: readonly string[] } | { prefix: string };

/** A key that has been deleted. */
export interface Deletion {
  readonly key: string;
  /** The revision at which it was. */
  readonly revision: bigint;
}

/** A server that refuses a watch isn't asked for one at every moment. */
const PAUSE_MS = 200;

/**
 * Waits until one of some keys is deleted, or until that may have gone
 * unnoticed: the stream ends, the server that is asked changes, the watch is
 * refused or the signal aborts. The stream outlives the call by a turn of the
 * event loop, for whoever has waited is in a hurry.
 *
 * A frozen server keeps a watch open for ever. It doesn't renew leases either:
 * the change of server that a failed renewal brings about ends the watch.
 *
 * @param fromRevision The first revision whose changes count. It should be one
 * that is yet to come: etcd serves others from its history, in steps of 100 ms.
 * @returns What was deleted first. Of the keys of one target those that were
 * deleted at the same revision are told together, and none before an earlier
 * one. Nothing when something may have gone unnoticed.
 */
export async function waitForDelete(
  gateway: Gateway,
  targets: readonly WatchTarget[],
  fromRevision: bigint,
  signal: AbortSignal,
): Promise<readonly Deletion[]> {
  const end = new AbortController();
  const stop = () => end.abort();
  if (signal.aborted) return [];
  signal.addEventListener("abort", stop);
  const unlisten = gateway.onFailOver(stop);
  const finish = () => {
    end.abort();
    unlisten();
    signal.removeEventListener("abort", stop);
  };
  // One stream carries several watches: the body is one request after another.
  const body = targets.map((target) =>
    JSON.stringify({
      create_request: {
        ...watchedRange(target),
        start_revision: String(fromRevision),
        filters: ["NOPUT"],
      },
    })
  ).join("\n");
  try {
    const pieces = await gateway.stream("watch", body, end.signal);
    const deleted = await firstDelete(pieces, targets);
    setTimeout(finish);
    return deleted;
  } catch (error) {
    const isStopped = end.signal.aborted;
    finish();
    if (error instanceof Deno.errors.NotCapable) throw error;
    if (error instanceof GatewayFailure && error.kind === "denied") throw error;
    if (!isStopped) await pause(PAUSE_MS, signal);
    return [];
  }
}

/**
 * One watch for all keys of a target, from the first of them to the last: what
 * several watches tell may come in any order.
 */
function watchedRange(
  target: WatchTarget,
): { key: string; range_end?: string } {
  if ("prefix" in target) return prefixRange(target.prefix);
  const [first = "", ...rest] = [...target.keys].sort();
  const last = rest.at(-1);
  return {
    key: toBase64(first),
    // The next key there can be after the last one.
    ...(last === undefined ? {} : { range_end: toBase64(`${last}\0`) }),
  };
}

/**
 * Reads lines until one tells of a deletion, an error or the end, and leaves it
 * to the signal to close what is read: a loop by `for` would, here and now.
 */
async function firstDelete(
  pieces: AsyncIterator<string>,
  targets: readonly WatchTarget[],
): Promise<readonly Deletion[]> {
  let rest = "";
  for (;;) {
    const { done, value } = await pieces.next();
    if (done) return [];
    const lines = (rest + value).split("\n");
    rest = lines.pop()!;
    for (const line of lines) {
      if (line.trim() === "") continue;
      const { result, error } = JSON.parse(line) as WatchLine;
      if (error !== undefined || result?.canceled) return [];
      const deleted = deletions(targets, result?.events);
      if (deleted.length > 0) return deleted;
    }
  }
}

function deletions(
  targets: readonly WatchTarget[],
  events: NonNullable<WatchLine["result"]>["events"] = [],
): Deletion[] {
  return events
    .filter(({ type }) => type === "DELETE")
    .map(({ kv }) => ({
      key: fromBase64(kv?.key),
      revision: BigInt(kv?.mod_revision ?? 0),
    }))
    .filter(({ key }) =>
      targets.some((target) =>
        "prefix" in target
          ? key.startsWith(target.prefix)
          : target.keys.includes(key)
      )
    );
}
