/**
 * Loads now what waits and timeouts would otherwise load when they first
 * happen.
 *
 * The runtime reads modules on its helper threads. In a program that keeps all
 * of them busy, the first wait would begin, and the first timeout arrive, only
 * when one is free. The command line does no such work, and starts faster
 * without.
 *
 * @module
 */

import "../inspect/ancestor_holder.ts";
import "../inspect/holder.ts";
import "../inspect/range_holders.ts";
import "../lock/self_deadlock_error.ts";
import "../sys/process/process.ts";
import "../sys/thread/worker_descriptors.ts";
import "../wait/busy_lock_file.ts";
import "../wait/event_wake.ts";
import "../wait/lock_wake.ts";
import "./link_group.ts";
import "./loss.ts";
import "./record.ts";
import "./record_deadlock_error.ts";
import "./server_lease.ts";

export {};
