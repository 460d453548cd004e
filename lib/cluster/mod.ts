/**
 * Locks that several machines share, held in an engine that exists: etcd or
 * PostgreSQL.
 *
 * ```ts
 * import {
 *   acquireClusterLock,
 *   ClusterUnreachableError,
 * } from "@holdfast/holdfast/cluster";
 *
 * try {
 *   await using lock = await acquireClusterLock("etcd://localhost/example", {
 *     timeoutMs: 60_000,
 *   });
 *   console.log(`holder number ${lock.fence}`);
 * } catch (error) {
 *   if (!(error instanceof ClusterUnreachableError)) throw error;
 *   console.log(error.message);
 * }
 * ```
 *
 * Permissions: `--allow-net` for the servers of the engine. To be named to
 * others, `--allow-ffi` or `--allow-sys=hostname,uid`. `--allow-read` for
 * certificates, and `--allow-env` for the variables that the engine's own tools
 * read: `ETCDCTL_ENDPOINTS` and its like, `PGHOST` and its like.
 *
 * @module
 */

export {
  acquireClusterLock,
  type ClusterAcquireOptions,
  type ClusterReadOptions,
  diagnoseCluster,
  listClusterLocks,
  readClusterLock,
  tryClusterLock,
  withClusterLock,
} from "./acquire.ts";
export {
  type ClusterDiagnosis,
  type ClusterEngine,
  type ClusterFact,
  type ClusterLock,
  type ClusterLockEvent,
  type ClusterLockRequest,
  type ClusterLockStatus,
  type ClusterParty,
  type ClusterWaitInfo,
  describeParty,
  type EngineOptions,
} from "./engine.ts";
export {
  ClusterLockTimeoutError,
  ClusterPermissionError,
  ClusterUnreachableError,
  LeaseLostError,
} from "./errors.ts";
export type { LockIdentity } from "./identity.ts";
export {
  type LeaseMoments,
  leaseMoments,
  type LeaseOptions,
  type LeaseTimes,
  leaseTimes,
} from "./lease_rule.ts";
export { openEngine } from "./open_engine.ts";
export {
  type ClusterEndpoint,
  type ClusterEngineKind,
  type ClusterUrl,
  parseClusterUrl,
} from "./url.ts";
export { isLockUrl, type LockUrl } from "../lock/lock_path.ts";
export type { HeldAsyncLock } from "../lock/held_lock.ts";
export type { LockMode } from "../lock/flock/flock.ts";
export { LockCompromisedError } from "../lock/lock_compromised_error.ts";
export { LockError } from "../sys/error.ts";
export {
  type LockTimeout,
  LockTimeoutError,
} from "../wait/lock_timeout_error.ts";
