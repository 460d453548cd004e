/**
 * The lease under which the server of a filesystem keeps a client's locks.
 *
 * A client of NFSv4 or Ceph that is cut off for longer loses all of its locks,
 * and hears of it late: its kernel goes on listing them. Only reading or
 * writing the locked file by the open file that has the lock fails then, with
 * EIO, for the kernel sends the lock along. See NFS_LOCK_LOST in
 * fs/nfs/nfs4proc.c and CEPH_I_ERROR_FILELOCK in fs/ceph/caps.c.
 *
 * So the file is read, past the cache, a few times in each lease. That renews
 * the lease too: after a read that has succeeded, the server keeps the lock for
 * the length of the lease from the moment at which the read was sent.
 *
 * @module
 */

import { leaseClock } from "../cluster/lease_clock.ts";
import { LeaseKeeper, type Renewal } from "../cluster/lease_keeper.ts";
import { leaseTimes, MAX_TTL_MS, MIN_TTL_MS } from "../cluster/lease_rule.ts";
import { mountOfFd } from "../fs/record_guard.ts";
import type { LossWatch, WatchableLock } from "../lock/held_lock.ts";
import { findLeaseMs } from "../proc/mountstats.ts";
import type { MountInfo } from "../proc/mountinfo.ts";
import { EBADF, EIO, errnoName, ESTALE } from "../sys/errno.ts";
import { SyscallError } from "../sys/error.ts";
import { readTextIfAny } from "../sys/file.ts";
import { BackgroundRead, setDirect } from "../sys/storage/background_read.ts";
import type { Clock } from "../wait/clock.ts";

/* What servers of NFS are set to unless somebody has changed it; a Ceph client
 * is given up after five minutes, and counts as late after one. */
const USUAL_LEASE_MS = 90_000;

/* How often the answer is looked for: it usually is there at once. */
const FIRST_LOOK_MS = 1;
const LAST_LOOK_MS = 250;

/** What a read says when the lock is gone, or its file. */
const GONE = [EIO, ESTALE];

/** Watches over one lock until it is lost or the watch is ended. */
export class ServerLease implements LossWatch {
  readonly #lock: WatchableLock;
  readonly #keeper: LeaseKeeper;
  #read: BackgroundRead | undefined;

  private constructor(lock: WatchableLock, leaseMs: number) {
    this.#lock = lock;
    const clock: Clock = { now: leaseClock(), sleep: sleepAside };
    setDirect(lock.fd, true);
    this.#keeper = new LeaseKeeper({
      path: lock.path,
      times: leaseTimes({
        ttlMs: Math.min(Math.max(leaseMs, MIN_TTL_MS), MAX_TTL_MS),
      }),
      sentAt: clock.now(),
      renew: (signal) => this.#renew(signal),
      clock,
    });
  }

  /** Begins to watch; `undefined` where there is no lease: NFSv3 has none. */
  static of(lock: WatchableLock): ServerLease | undefined {
    const mount = mountOfFd(lock.fd);
    if (mount === undefined || isVersion3(mount)) return undefined;
    const stats = readTextIfAny("/proc/self/mountstats") ?? "";
    const leaseMs = findLeaseMs(stats, mount.mountPoint) ?? USUAL_LEASE_MS;
    return new ServerLease(lock, leaseMs);
  }

  /** Aborts with a `LeaseLostError`. */
  get lost(): AbortSignal {
    return this.#keeper.lost;
  }

  /** Asks the clock too: after a stop of this process no timer has run yet. */
  get held(): boolean {
    return this.#keeper.held;
  }

  /** Ends the watch. */
  end(): void {
    void this.#keeper.end();
    this.#read?.drop();
    if (!this.lost.aborted) setDirect(this.#lock.fd, false);
  }

  async #renew(signal: AbortSignal): Promise<Renewal> {
    // The answer to an old question says little of the lease now.
    if (this.#read !== undefined) this.#check(await this.#answer(signal));
    // Released meanwhile: the descriptor may be another file's by now.
    signal.throwIfAborted();
    this.#read = new BackgroundRead(this.#lock.fd);
    this.#check(await this.#answer(signal));
    return "renewed";
  }

  /** Waits for the read that is under way. */
  async #answer(signal: AbortSignal): Promise<number> {
    for (let ms = FIRST_LOOK_MS;; ms = Math.min(2 * ms, LAST_LOOK_MS)) {
      const { result } = this.#read!;
      if (result !== undefined) {
        this.#read = undefined;
        return result;
      }
      signal.throwIfAborted();
      await sleepAside(ms, signal);
    }
  }

  #check(result: number): void {
    // A descriptor that is closed belongs to a lock that has been released.
    if (result >= 0 || result === -EBADF) return;
    const errno = -result;
    if (GONE.includes(errno)) {
      this.#keeper.lose(
        "its server has given it up, for the kernel refuses to read the file " +
          `(${errnoName(errno)}); others may have had it since`,
      );
    }
    throw new SyscallError("read lock file", {
      syscall: "pread",
      errno,
      path: this.#lock.path,
    });
  }
}

function isVersion3({ fsType, mountOptions, superOptions }: MountInfo) {
  if (fsType !== "nfs" && fsType !== "nfs4") return false;
  return ![...mountOptions, ...superOptions]
    .some((option) => option.startsWith("vers=4"));
}

/** Sleeps without keeping the program running: to hold a lock doesn't. */
function sleepAside(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const finish = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", finish);
      resolve();
    };
    const timer = setTimeout(finish, ms);
    Deno.unrefTimer(timer);
    if (signal?.aborted) finish();
    else signal?.addEventListener("abort", finish);
  });
}
