/**
 * The keys of a lock's queue, as Go's package concurrency lays them out:
 * `NAME/LEASE`, the lease in hexadecimal. The oldest of them holds the lock.
 *
 * @module
 */

import { quotePath } from "../../proc/printable.ts";
import type { ClusterParty } from "../engine.ts";
import { parseLockIdentity } from "../identity.ts";
import { fromBase64, type KeyValue } from "./wire.ts";

/** The key of a lease in the queue of a lock. */
export function queueKey(name: string, lease: bigint): string {
  return `${name}/${lease.toString(16)}`;
}

/** What the keys of a queue begin with. */
export function queuePrefix(name: string): string {
  return `${name}/`;
}

/**
 * The key of a taken slot. It is among those of the queue, where a user may
 * have the permission to write, and where etcdctl waits for its end too.
 */
export function slotKey(name: string, slot: number): string {
  return `${queuePrefix(name)}slot.${slot}`;
}

/** The lock whose slot a key stands for; `undefined` for any other key. */
export function lockOfSlot({ key, lease }: KeyValue): string | undefined {
  return lease === undefined
    ? undefined
    : /^(.+)\/slot\.\d+$/s.exec(fromBase64(key))?.[1];
}

/**
 * The lock whose queue a key is in; `undefined` for any other key. The lease
 * tells: the queue of `deploy` shares its prefix with that of `deploy/web`.
 */
export function lockOfKey({ key, lease }: KeyValue): string | undefined {
  if (lease === undefined) return undefined;
  const text = fromBase64(key);
  const suffix = `/${BigInt(lease).toString(16)}`;
  return text.endsWith(suffix) ? text.slice(0, -suffix.length) : undefined;
}

/** Those of some keys that are in the queue of a lock, in their order. */
export function queueMembers(
  name: string,
  keys: readonly KeyValue[],
): KeyValue[] {
  return keys.filter((key) => lockOfKey(key) === name);
}

/** Who is behind a key of a queue. */
export function partyOfKey(kv: KeyValue): ClusterParty {
  const identity = parseLockIdentity(fromBase64(kv.value));
  return {
    ...identity ??
      { host: null, pid: null, user: null, command: null, since: null },
    // Go programs that use the package directly look the same.
    program: identity === undefined ? "etcdctl" : "holdfast",
    key: quotePath(fromBase64(kv.key)).slice(1, -1),
    session: `lease ${BigInt(kv.lease ?? 0).toString(16)}`,
    mode: "exclusive",
  };
}
