import { queueMembers, queuePrefix } from "./keys.ts";
import {
  type KeyValue,
  type Operation,
  prefixRange,
  type RangeRequest,
  rangesOf,
  revisionOf,
  toBase64,
  type TxnRequest,
  type TxnResponse,
} from "./wire.ts";

/** The queue as it was at one revision. */
export interface Look {
  readonly revision: bigint;
  /** Our key, if it is still there. */
  readonly own: KeyValue | undefined;
  /** Those before us, the oldest first. Without `isWhole` only the last ones. */
  readonly ahead: readonly KeyValue[];
  readonly isWhole: boolean;
}

/** So many of those before us are told about. */
export const MAX_TOLD = 32;

type Transact = (request: TxnRequest) => Promise<TxnResponse>;

/**
 * Puts a key at the end of a queue and looks at the queue, in one step.
 *
 * @param ifEmpty Only if nobody is there.
 * @returns The queue; `undefined` when somebody was there.
 */
export async function enterQueue(
  { name, key, lease, value, ifEmpty, transact }: {
    name: string;
    key: string;
    lease: bigint;
    value: string;
    ifEmpty: boolean;
    transact: Transact;
  },
): Promise<Look | undefined> {
  const own = { key: toBase64(key) };
  const looks: Operation[] = [{ request_range: own }, {
    request_range: {
      ...prefixRange(queuePrefix(name)),
      sort_order: "ASCEND",
      sort_target: "CREATE",
      limit: String(MAX_TOLD + 1),
    },
  }];
  const answer = await transact({
    compare: [{
      target: "CREATE",
      // A range without a key counts as one that was never created.
      ...(ifEmpty ? prefixRange(queuePrefix(name)) : own),
      create_revision: "0",
      result: "EQUAL",
    }],
    success: [{
      request_put: { ...own, value: toBase64(value), lease: String(lease) },
    }, ...looks],
    // There already: the answer to the first attempt was lost.
    failure: looks,
  });
  const [[mine] = [], members = []] = rangesOf(answer);
  if (mine === undefined) return undefined;
  return {
    revision: revisionOf(answer),
    own: mine,
    ahead: queueMembers(name, members).filter((kv) =>
      createRevision(kv) < createRevision(mine)
    ),
    isWhole: members.length <= MAX_TOLD,
  };
}

/**
 * Looks at those before a place in a queue.
 *
 * @param created The revision at which that place was taken.
 * @param wantsAll Not only the nearest.
 */
export async function lookBefore(
  { name, key, created, wantsAll, transact }: {
    name: string;
    key: string;
    created: bigint;
    wantsAll: boolean;
    transact: Transact;
  },
): Promise<Look> {
  const before: RangeRequest = {
    ...prefixRange(queuePrefix(name)),
    sort_target: "CREATE",
    max_create_revision: String(created - 1n),
    ...(wantsAll
      ? { sort_order: "ASCEND" }
      : { sort_order: "DESCEND", limit: "2" }),
  };
  const answer = await transact({
    success: [
      { request_range: { key: toBase64(key) } },
      { request_range: before },
    ],
  });
  const [[own] = [], found = []] = rangesOf(answer);
  const ahead = queueMembers(name, found);
  // The nearest keys belong to other locks, whose names begin like ours.
  if (!wantsAll && ahead.length === 0 && found.length > 0) {
    return await lookBefore({ name, key, created, wantsAll: true, transact });
  }
  if (!wantsAll) ahead.reverse();
  const isWhole = wantsAll || found.length < 2;
  return { revision: revisionOf(answer), own, ahead, isWhole };
}

function createRevision(kv: KeyValue): bigint {
  return BigInt(kv.create_revision ?? 0);
}
