/**
 * Several locks held as one, and the order in which everybody takes them.
 *
 * @module
 */

import type { FileStat } from "../sys/file.ts";
import type { HeldLock } from "./held_lock.ts";

/** Several held locks as one. */
export class LockGroup implements HeldLock {
  /** The locks, in the order the caller named them. */
  readonly members: readonly HeldLock[];
  /** Aborts when a member is lost; absent when none can be. */
  readonly lost: AbortSignal | undefined;
  /**
   * Lets commands started from now on inherit the locks, or not. Absent unless
   * every member can be inherited.
   */
  readonly setInheritable?: (inheritable: boolean) => void;

  /** Made of locks that are held; it owns them from then on. */
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

  /** The paths of the members, joined by colons. */
  get path(): string {
    return this.members.map(({ path }) => path).join(":");
  }

  /** Whether every member is held. */
  get held(): boolean {
    return this.members.every(({ held }) => held);
  }

  /** Releases all of them, the last one first; a second call does nothing. */
  release(): void {
    releaseAll(this.members);
  }

  /** Releases them; see {@linkcode LockGroup.release}. */
  [Symbol.dispose](): void {
    this.release();
  }
}

/**
 * Several held locks as one, some of them in engines: `await using` waits for
 * their release, and `using` starts it.
 */
export class MixedLockGroup implements HeldLock, AsyncDisposable {
  /** The locks, in the order the caller named them. */
  readonly members: readonly HeldLock[];
  /** Aborts when a member is lost. */
  readonly lost: AbortSignal;
  readonly #taken: AsyncDisposableStack;
  #released: Promise<void> | undefined;

  /**
   * Made of locks that are held.
   *
   * @param taken Releases them.
   */
  constructor(members: readonly HeldLock[], taken: AsyncDisposableStack) {
    this.members = members;
    this.lost = AbortSignal.any(members.flatMap(({ lost }) => lost ?? []));
    this.#taken = taken;
  }

  /** The paths and URLs of the members, a line each. */
  get path(): string {
    return this.members.map(({ path }) => path).join("\n");
  }

  /** Whether every member is held. */
  get held(): boolean {
    return this.members.every(({ held }) => held);
  }

  /** Releases all of them, the last one first; a second call waits as well. */
  release(): Promise<void> {
    return this.#released ??= this.#taken.disposeAsync();
  }

  /** Starts their release. */
  [Symbol.dispose](): void {
    void this.release();
  }

  /** Releases them; see {@linkcode MixedLockGroup.release}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }
}

/** Releases locks, the last one first. */
export function releaseAll(locks: readonly HeldLock[]): void {
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
