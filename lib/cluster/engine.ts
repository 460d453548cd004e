/**
 * What an engine does for the rest of holdfast, and what it is told.
 *
 * A driver is a folder of its own, etcd/ or postgres/, whose mod.ts exports
 * `openEngine`, a {@linkcode EngineOpener}. Drivers throw
 * `ClusterUnreachableError` and `ClusterPermissionError`, and the caller's
 * `signal.reason`; a busy lock is a value.
 *
 * @module
 */

import type { HeldAsyncLock } from "../lock/held_lock.ts";
import type { LockMode } from "../lock/flock/flock.ts";
import type { ClusterEngineKind, ClusterUrl } from "./url.ts";
import type { LeaseMoments, LeaseOptions } from "./lease_rule.ts";
import type { LockIdentity } from "./identity.ts";

/** One that holds a lock of an engine or waits for it. */
export interface ClusterParty extends LockIdentity {
  /** What made the entry: `holdfast`, or another program as far as it is known. */
  readonly program: string;
  /** What the engine calls it: a key with a lease, or a server process. */
  readonly key: string;
  /** What ties it to its life: `lease 694d7…`, `backend 4711`. */
  readonly session: string;
  /** Shared or exclusive. */
  readonly mode: LockMode;
}

/** All that take part in one lock, in the order of the queue. */
export interface ClusterLockStatus {
  /** The lock's URL, without secrets. */
  readonly url: string;
  /** The lock's name; where an engine can't tell it, its key in a text. */
  readonly name: string;
  /** Those who hold it. */
  readonly holders: readonly ClusterParty[];
  /** Those who wait, the next one first. */
  readonly waiters: readonly ClusterParty[];
  /** Why a lock that looks free may not be, a clause. */
  readonly note?: string | undefined;
}

/** Where a waiter stands. */
export interface ClusterWaitInfo {
  /** The lock's URL, without secrets: the `path` of the lock. */
  readonly path: string;
  /** How many must let go before it is this one's turn. */
  readonly position: number;
  /** Those before this one, the holders first; for a long queue the nearest. */
  readonly ahead: readonly ClusterParty[];
  /** What is waited for when it isn't one of those, a clause. */
  readonly note?: string | undefined;
}

/** Something that happened to a lock in hand. */
export type ClusterLockEvent =
  /** The lease lasts longer now. */
  | { readonly type: "renewed"; readonly moments: LeaseMoments }
  /** Another server is asked from now on. */
  | { readonly type: "failed-over"; readonly from: string; readonly to: string }
  /** It is lost; `lost` aborts right after this. */
  | { readonly type: "lost"; readonly reason: string };

/** How a lock is to be taken. */
export interface ClusterLockRequest extends LeaseOptions {
  /** Exclusive unless set; `shared` where the engine has it. */
  readonly mode?: LockMode | undefined;
  /** So many may hold it at once, 1 unless set; each has a slot then. */
  readonly slots?: number | undefined;
  /** Give up after so many milliseconds; 0 doesn't wait. Endless unless set. */
  readonly timeoutMs?: number | undefined;
  /** Give up when it aborts. */
  readonly signal?: AbortSignal | undefined;
  /** What to tell others that runs here; the command line unless set. */
  readonly message?: string | undefined;
  /** Called when the wait begins and whenever the place in the queue changes. */
  readonly onWait?: ((info: ClusterWaitInfo) => void) | undefined;
  /** Told what happens to the lock while it is held. */
  readonly onEvent?: ((event: ClusterLockEvent) => void) | undefined;
}

/** A lock held in an engine. Its release is asynchronous: `await using`. */
export interface ClusterLock extends HeldAsyncLock {
  /** The lock's URL, without secrets; `HOLDFAST_LOCK` of a command. */
  readonly path: string;
  /** Its name in the engine. */
  readonly name: string;
  /** What the engine calls it; `HOLDFAST_LOCK_KEY` of a command. */
  readonly key: string;
  /**
   * Greater than that of every earlier holder of this lock. What the lock
   * protects refuses lower ones; nothing else protects it from a late holder.
   */
  readonly fence: bigint;
  /** Which of the slots it is, from 0; `undefined` for a lock without slots. */
  readonly slot: number | undefined;
  /** Whether it has neither been released nor lost. */
  readonly held: boolean;
  /**
   * Aborts with a `LeaseLostError` when the lock is lost, before anybody else
   * can have it as long as this process isn't frozen.
   */
  readonly lost: AbortSignal;
  /** When the command must be told, and be dead, by the clock of `lease_clock`. */
  readonly moments: LeaseMoments;
  /**
   * Gives it up; a second call waits for the first. Doesn't fail when the
   * engine can't be reached: the lease ends by itself then.
   */
  release(): Promise<void>;
}

/** One fact that the doctor has learnt. */
export interface ClusterFact {
  /** What it is about, such as `version`. */
  readonly name: string;
  /** What it is, printable. */
  readonly value: string;
}

/** What the doctor has found out about an engine. */
export interface ClusterDiagnosis {
  /** The engine's URL, without secrets. */
  readonly url: string;
  /** Which engine. */
  readonly kind: ClusterEngineKind;
  /** Whether locks can be taken there now. */
  readonly usable: boolean;
  /** What is known, in the order to be shown. */
  readonly facts: readonly ClusterFact[];
  /** What is wrong, or may surprise: a stable word and a sentence. */
  readonly warnings: readonly { readonly code: string; message: string }[];
}

/** A connection, or what can become one, to one engine. */
export interface ClusterEngine extends AsyncDisposable {
  /** Which engine. */
  readonly kind: ClusterEngineKind;
  /**
   * Takes the lock named by the URL it was opened with, or another one of the
   * same engine.
   *
   * @returns The lock; `undefined` when it was busy until the deadline.
   */
  acquire(
    name: string,
    request: ClusterLockRequest,
  ): Promise<ClusterLock | undefined>;
  /** Who holds a lock and who waits for it. */
  status(
    name: string,
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<ClusterLockStatus>;
  /** All locks whose names begin so. */
  list(
    prefix: string,
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<ClusterLockStatus[]>;
  /**
   * Examines the engine, for a lock that is to be taken there if one is named.
   * Doesn't throw for what it finds wrong there.
   */
  diagnose(name?: string): Promise<ClusterDiagnosis>;
}

/** What a driver is opened with. */
export interface EngineOptions {
  /** Reads an environment variable; Deno's, where permitted, unless set. */
  readonly env?: ((name: string) => string | undefined) | undefined;
  /** The user; else that of the URL, else that of the environment. */
  readonly user?: string | undefined;
  /** The password; else that of the environment. */
  readonly password?: string | undefined;
  /** The certificates to trust, the path of a PEM file. */
  readonly caFile?: string | undefined;
  /** This client's certificate, the path of a PEM file. */
  readonly certFile?: string | undefined;
  /** The key of that certificate, the path of a PEM file. */
  readonly keyFile?: string | undefined;
  /** One attempt to reach one server takes at most so long, in milliseconds. */
  readonly connectTimeoutMs?: number | undefined;
}

/** Opens an engine without connecting yet: `openEngine` of each driver. */
export type EngineOpener = (
  url: ClusterUrl,
  options?: EngineOptions,
) => ClusterEngine;

/** One line about a party, printable: `host "db1", pid 4711, root, make`. */
export function describeParty(party: ClusterParty): string {
  const { host, pid, user, command, since, program, session, mode } = party;
  const parts = [
    program === "holdfast" ? undefined : program,
    host === null ? undefined : `host ${host}`,
    pid === null ? undefined : `pid ${pid}`,
    user === null ? undefined : `user ${user}`,
    command === null ? undefined : command,
    host === null && pid === null ? session : undefined,
    mode === "shared" ? "shared" : undefined,
    since === null ? undefined : `since ${since.toISOString()}`,
  ];
  return parts.filter((part) => part !== undefined).join(", ");
}
