/**
 * What wakes those who wait for a lock of the kernel.
 *
 * @module
 */

import { isRemoteFd } from "../fs/guard.ts";
import type { BlockOptions, LockMode } from "../lock/flock/flock.ts";
import type { ByteSpan } from "../lock/record/byte_span.ts";
import { LockError } from "../sys/error.ts";
import type { ParkedCall } from "../sys/thread/parked_call.ts";
import type { EventWakeOptions } from "./event_wake.ts";
import { parkedWake } from "./parked_wake.ts";
import type { WakeSource } from "./wake.ts";

/** Which locks on a file are in the way of another. */
export interface Conflict {
  /** Their kinds, as the kernel names them. */
  readonly types: readonly string[];
  /** How the other is taken. */
  readonly mode: LockMode;
  /** The bytes it is on; all unless set. */
  readonly span?: ByteSpan | undefined;
}

/** A lock that is being attempted. */
export interface WaitableAttempt<T> {
  /** The open lock file. */
  readonly fd: number;
  /** Releases often raise no event: of a range of a file that stays open. */
  readonly isReleasedSilently?: boolean;
  /** What is in its way, where that is known. */
  readonly conflict?: Conflict;
  /** Takes the lock if it is free. */
  try(): T | undefined;
  /** Waits for the lock on a thread of its own, where that can be done. */
  park?(): ParkedCall | undefined;
  /**
   * Waits for the lock on this thread, which does nothing else meanwhile, until
   * the open file has it or the time is up.
   */
  sleep?(options: BlockOptions): boolean | Promise<boolean>;
}

/** How {@linkcode lockWake} waits. */
export interface LockWakeOptions extends Pick<EventWakeOptions, "onDegraded"> {
  /** The file may be on another host. */
  allowRemote?: boolean | undefined;
}

/**
 * Sleeps in the kernel until it grants the lock; where that can't be, until
 * the file is closed by anybody.
 */
export function lockWake(
  attempt: WaitableAttempt<unknown>,
  { allowRemote, onDegraded }: LockWakeOptions,
): WakeSource {
  const isRemote = allowRemote === true && isRemoteFd(attempt.fd);
  return parkedWake(
    // Whether the call can be interrupted is up to the other host.
    () => isRemote ? undefined : attempt.park?.(),
    async () => {
      if (isRemote) {
        onDegraded?.(
          new LockError("Polling: other hosts' releases raise no event here"),
        );
      }
      const { eventWake } = await import("./event_wake.ts");
      return eventWake(() => [{ fd: attempt.fd }], {
        onDegraded,
        mostlySilent: attempt.isReleasedSilently || isRemote,
      });
    },
  );
}
