/**
 * What the parts of `run` on a lock in an engine hand to each other.
 *
 * @module
 */

import type { LockMode } from "../../../../lib/lock/flock/flock.ts";
import type { EngineOptions } from "../../../../lib/cluster/engine.ts";
import type { LeaseOptions } from "../../../../lib/cluster/lease_rule.ts";

/** Locks in engines, and the lock files that are taken before them. */
export interface ClusterTarget {
  type: "cluster";
  /** As given. */
  urls: readonly string[];
  /** Locked by flock, all or none. */
  files: readonly string[];
  mode: LockMode;
  /** So many may hold it at once. */
  slots: number | undefined;
  /** What others are told that runs here; the command unless set. */
  message: string | undefined;
  /** How the engines are reached. */
  engine: EngineOptions;
  /** The lengths of the leases. */
  lease: LeaseOptions;
}
