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

import "../inspect/holder.ts";
import "../inspect/range_holders.ts";
import "../wait/busy_lock_file.ts";
import "../wait/event_wake.ts";
import "../wait/lock_wake.ts";

export {};
