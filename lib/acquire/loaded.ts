/**
 * What a wait, and its end without the lock, load when they are first needed,
 * loaded at once.
 *
 * The runtime reads modules by its helper threads. A program that keeps all of
 * these busy would have its first wait begin, and its first timeout arrive,
 * only when one is free. The command line has no such work and starts faster
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
import "./record.ts";
import "./record_deadlock_error.ts";

export {};
