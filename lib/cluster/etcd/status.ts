/**
 * Who holds locks in etcd and who waits for them.
 *
 * @module
 */

import type { ClusterLockStatus } from "../engine.ts";
import type { Gateway } from "./gateway.ts";
import {
  lockOfKey,
  lockOfSlot,
  partyOfKey,
  queueMembers,
  queuePrefix,
} from "./keys.ts";
import {
  type KeyValue,
  prefixRange,
  type RangeResponse,
  rangesOf,
  type TxnResponse,
} from "./wire.ts";

/** Reads the queue of one lock. */
export async function readQueue(
  gateway: Gateway,
  url: string,
  name: string,
  signal?: AbortSignal,
): Promise<ClusterLockStatus> {
  const { kvs = [] } = await gateway.call<RangeResponse>("kv/range", {
    ...prefixRange(queuePrefix(name)),
    sort_order: "ASCEND",
    sort_target: "CREATE",
  }, { signal });
  const slots = kvs.filter((kv) => lockOfSlot(kv) === name);
  return statusOf(url, name, queueMembers(name, kvs), slots);
}

/** Keys to a page: a store may hold very many that are no locks. */
const PAGE_KEYS = 2000;
/** etcd takes no more operations at once, unless configured otherwise. */
const MAX_OPERATIONS = 128;

/** Reads the queues of all locks whose names begin so, in order of name. */
export async function listQueues(
  gateway: Gateway,
  urlOf: (name: string) => string,
  prefix: string,
  signal?: AbortSignal,
): Promise<ClusterLockStatus[]> {
  const keys: KeyValue[] = [];
  const slots = new Map<string, KeyValue[]>();
  // Not the values: other things than locks may be large.
  for await (const page of keyPages(gateway, prefix, signal)) {
    for (const kv of page) {
      const slotOf = lockOfSlot(kv);
      // The prefix may end in the slash before a lease.
      if (lockOfKey(kv)?.startsWith(prefix)) keys.push(kv);
      else if (slotOf !== undefined) addTo(slots, slotOf, kv);
    }
  }
  const queues = new Map<string, KeyValue[]>();
  for (let at = 0; at < keys.length; at += MAX_OPERATIONS) {
    const success = keys.slice(at, at + MAX_OPERATIONS)
      .map(({ key }) => ({ request_range: { key } }));
    const answer = await gateway.call<TxnResponse>(
      "kv/txn",
      { success },
      { signal },
    );
    for (const kv of rangesOf(answer).flat()) {
      const name = lockOfKey(kv);
      if (name !== undefined) addTo(queues, name, kv);
    }
  }
  return [...queues].sort(([a], [b]) => a < b ? -1 : 1).map(([name, queue]) =>
    statusOf(urlOf(name), name, queue.sort(byAge), slots.get(name) ?? [])
  );
}

function addTo<T>(groups: Map<string, T[]>, name: string, item: T): void {
  const group = groups.get(name);
  if (group === undefined) groups.set(name, [item]);
  else group.push(item);
}

async function* keyPages(
  gateway: Gateway,
  prefix: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<KeyValue[]> {
  const { key: first, range_end } = prefixRange(prefix);
  let key = first;
  for (;;) {
    const page = await gateway.call<RangeResponse & { more?: boolean }>(
      "kv/range",
      { key, range_end, limit: String(PAGE_KEYS), keys_only: true },
      { signal },
    );
    const kvs = page.kvs ?? [];
    yield kvs;
    const last = kvs.at(-1);
    if (!page.more || last === undefined) return;
    // The next key there can be: the last one and a NUL.
    key = new Uint8Array([...Uint8Array.fromBase64(last.key), 0]).toBase64();
  }
}

function byAge(a: KeyValue, b: KeyValue): number {
  const [first, second] = [a, b].map((kv) => BigInt(kv.create_revision ?? 0));
  return first! < second! ? -1 : 1;
}

/** The oldest holds the lock, and so do those that have a slot. */
function statusOf(
  url: string,
  name: string,
  members: readonly KeyValue[],
  slots: readonly KeyValue[],
): ClusterLockStatus {
  const holds = ({ lease }: KeyValue, index: number) =>
    index === 0 || slots.some((slot) => slot.lease === lease);
  return {
    url,
    name,
    holders: members.filter(holds).map(partyOfKey),
    waiters: members.filter((kv, index) => !holds(kv, index)).map(partyOfKey),
  };
}
