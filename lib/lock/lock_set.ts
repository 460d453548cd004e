/**
 * Several locks held as one, and the order in which everybody takes them.
 *
 * @module
 */

import type { FileStat } from "../sys/file.ts";
import type { HeldAsyncLock, HeldLock } from "./held_lock.ts";

/** Several held locks as one. */
export interface LockGroup extends HeldLock {
  /** The paths of the members, joined by colons. */
  readonly path: string;
  /** The locks, in the order the caller named them. */
  readonly members: readonly HeldLock[];
  /** Whether every member is held. */
  readonly held: boolean;
  /** Aborts when a member is lost; absent when none can be. */
  readonly lost: AbortSignal | undefined;
  /**
   * Lets commands started from now on inherit the locks, or not. Absent unless
   * every member can be inherited.
   */
  readonly setInheritable?: (inheritable: boolean) => void;
  /** Releases all of them, the last one first; a second call does nothing. */
  release(): void;
}

/** Locks that are held, and released together. */
export class HeldGroup implements LockGroup {
  readonly members: readonly HeldLock[];
  readonly lost: AbortSignal | undefined;
  readonly setInheritable?: (inheritable: boolean) => void;

  /** Owns the locks from now on. */
  constructor(members: readonly HeldLock[]) {
    this.members = members;
    const signals = members.flatMap(({ lost }) => lost ?? []);
    this.lost = signals.length === 0 ? undefined : AbortSignal.any(signals);
    if (members.every(({ setInheritable }) => setInheritable !== undefined)) {
      this.setInheritable = (inheritable) => {
        for (const member of members) member.setInheritable?.(inheritable);
      };
    }
  }

  get path(): string {
    return this.members.map(({ path }) => path).join(":");
  }

  get held(): boolean {
    return this.members.every(({ held }) => held);
  }

  release(): void {
    releaseAll(this.members);
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

/** Several held locks as one, some of them in engines. */
export interface MixedLockGroup extends HeldAsyncLock {
  /** The paths and URLs of the members, a line each. */
  readonly path: string;
  /** The locks, in the order the caller named them. */
  readonly members: readonly (HeldLock | HeldAsyncLock)[];
  /** Whether every member is held. */
  readonly held: boolean;
  /** Aborts when a member is lost. */
  readonly lost: AbortSignal;
  /** Releases all of them, the last one first; a second call waits as well. */
  release(): Promise<void>;
}

/** Locks that are held, and released together; some by a server. */
export class HeldMixedGroup implements MixedLockGroup {
  readonly members: MixedLockGroup["members"];
  readonly lost: AbortSignal;
  readonly #taken: AsyncDisposableStack;
  #released: Promise<void> | undefined;

  /**
   * Made of locks that are held.
   *
   * @param taken Releases them.
   */
  constructor(
    members: MixedLockGroup["members"],
    taken: AsyncDisposableStack,
  ) {
    this.members = members;
    this.lost = AbortSignal.any(members.flatMap(({ lost }) => lost ?? []));
    this.#taken = taken;
  }

  get path(): string {
    return this.members.map(({ path }) => path).join("\n");
  }

  get held(): boolean {
    return this.members.every(({ held }) => held);
  }

  release(): Promise<void> {
    return this.#released ??= this.#taken.disposeAsync();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }
}

/** Releases locks, the last one first. */
export function releaseAll(locks: readonly Pick<HeldLock, "release">[]): void {
  for (const lock of locks.toReversed()) lock.release();
}

/**
 * Where an open file stands in the one order, by device and inode, in which
 * locks are taken: no two callers then wait for each other. A number is used
 * again only when nobody has the file open any more.
 *
 * @returns Digits of equal length, so that texts sort as numbers do.
 */
export function fileOrder(
  { deviceMajor, deviceMinor, inode }: FileStat,
): string {
  return [deviceMajor, deviceMinor, inode]
    .map((part) => String(part).padStart(20, "0")).join(":");
}
