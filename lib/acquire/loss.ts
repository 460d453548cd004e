/**
 * Which locks are watched for their loss: those that the server of a
 * filesystem keeps under a lease.
 *
 * @module
 */

import type { WatchableLock } from "../lock/held_lock.ts";
import { fsMagicOfFd } from "../sys/file.ts";

/* NFS_SUPER_MAGIC of include/uapi/linux/magic.h and CEPH_SUPER_MAGIC of
 * fs/ceph/super.h. */
const LEASED = [0x6969, 0x00c36400];

/** Has a lock say when it is lost, where it can be. */
export async function watchLoss(lock: object): Promise<void> {
  if (!isWatchable(lock) || !LEASED.includes(fsMagicOfFd(lock.fd))) return;
  const { ServerLease } = await import("./server_lease.ts");
  const lease = ServerLease.of(lock);
  if (lease !== undefined) lock.watchBy(lease);
}

function isWatchable(lock: object): lock is WatchableLock {
  return "watchBy" in lock;
}
