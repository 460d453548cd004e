/**
 * More than one lock, and what people do under locks: groups, slots, turns,
 * reserved CPUs, caches, files changed in one piece.
 *
 * ```ts
 * import { acquireAll } from "@holdfast/holdfast/patterns";
 *
 * using locks = await acquireAll([
 *   { path: "/tmp/holdfast-example-a.lock" },
 *   { path: "/tmp/holdfast-example-b.lock", mode: "shared" },
 * ], { timeoutMs: 5000 });
 * console.log(`holding ${locks.path}`);
 * ```
 *
 * Permissions: `--allow-ffi` for all of it; what writes files of yours needs
 * more, and says so.
 *
 * @module
 */

export * from "../acquire/loaded.ts";
export type { HolderInfo } from "../inspect/holder.ts";
export type { HolderSource } from "../inspect/lock_holders.ts";
export type { FlockHandle, LockMode } from "../lock/flock/flock.ts";
export type { HeldAsyncLock, HeldLock } from "../lock/held_lock.ts";
export type { RecordLockKind } from "../lock/record/record_lock.ts";
export {
  LockError,
  SyscallError,
  type SyscallErrorInit,
} from "../sys/error.ts";
export {
  type LockTimeout,
  LockTimeoutError,
} from "../wait/lock_timeout_error.ts";
export type { WaitOptions } from "../wait/attempt_loop.ts";
export type {
  LockFileChecks,
  LockWaitOptions,
  WaitInfo,
} from "../acquire/budget.ts";
export {
  acquireAll,
  type AcquireAllOptions,
  type FileMember,
  type GroupMember,
  type GroupOf,
  type LinkMember,
  type MemberOf,
  type MembersOf,
  type RangeMember,
} from "../acquire/group.ts";
export type { LockGroup, MixedLockGroup } from "../lock/lock_set.ts";
export {
  acquireSlots,
  type AcquireSlotsOptions,
  type HeldSlots,
  readSlots,
  slotDirectory,
  type SlotState,
  SlotTimeoutError,
} from "./slots.ts";
export { acquireFair, type AcquireFairOptions } from "./turnstile.ts";
export {
  acquireCpus,
  type AcquireCpusOptions,
  type BusyResource,
  type CpuReservation,
  CpuTimeoutError,
} from "./cpu_reservation.ts";
export { type CacheDomain, readCacheDomains } from "./cpu_topology.ts";
export { trySingleton } from "./singleton.ts";
export { acquireFenced, type FencedLock, StaleFenceError } from "./fence.ts";
export {
  type CacheBuild,
  type CacheEntry,
  type CacheOptions,
  evict,
  getOrBuild,
} from "./cache.ts";
export {
  acquireTree,
  type AcquireTreeOptions,
  treeLockPath,
} from "./tree_lock.ts";
export {
  type Transform,
  transformFile,
  type TransformMethod,
  type TransformOptions,
  type TransformResult,
} from "./transform_file.ts";
export {
  type AppendOptions,
  type AppendResult,
  appendToFile,
} from "./append.ts";
export {
  acquireIfDue,
  debounce,
  type DebounceOptions,
  type DebounceResult,
} from "./debounce.ts";
export {
  type Conversion,
  type ConversionOptions,
  downgrade,
  upgrade,
} from "./convert.ts";
export {
  type CollectedFile,
  collectLockFiles,
  type CollectOptions,
} from "./gc.ts";
export { lockDirectory } from "./lock_directory.ts";
export { getLoadAverages } from "../sys/loadavg.ts";
export {
  type LoadMinutes,
  type LoadOptions,
  LoadTimeoutError,
  waitForLoad,
} from "./load_gate.ts";
export type { Clock } from "../wait/clock.ts";
