/**
 * Waiting for a lock on filesystems that can't let a call sleep.
 *
 * @module
 */

import { EACCES, EAGAIN, EINTR, EOPNOTSUPP } from "../errno.ts";
import { fsMagicOfFd } from "../file.ts";

/* CIFS_SUPER_MAGIC and SMB2_SUPER_MAGIC of include/uapi/linux/magic.h */
const CIFS_MAGIC = [0xff534d42, 0xfe534d42];

/** Whether an open file is on SMB, whose client says EACCES of a busy lock. */
export function isCifsFd(fd: number): boolean {
  return CIFS_MAGIC.includes(fsMagicOfFd(fd));
}

const FIRST_PAUSE_MS = 1;
const MAX_PAUSE_MS = 100;

/**
 * A call that sleeps until there is a lock, or attempts where it can't: on
 * virtiofs, whose server only has locks that don't wait (EOPNOTSUPP); and on
 * SMB, whose client waits for the server's answer past any deadline, whatever
 * signal comes (wait_for_response in fs/cifs/transport.c, Linux 6.1).
 *
 * @param fd The open file.
 * @param sleeping Makes the call that sleeps.
 * @param attempt Makes the one that doesn't.
 * @returns For `withInterruptTimer`: each attempt that has failed, and the
 * pause after it, is `-EINTR`.
 */
export function sleepOrAttempt(
  fd: number,
  sleeping: () => number,
  attempt: () => number,
): () => number {
  const isCifs = isCifsFd(fd);
  let pauseMs = isCifs ? FIRST_PAUSE_MS : 0;
  return () => {
    const slept = pauseMs === 0 ? sleeping() : -EOPNOTSUPP;
    if (slept !== -EOPNOTSUPP) return slept;
    const result = attempt();
    const isBusy = result === -EAGAIN || (isCifs && result === -EACCES);
    if (!isBusy) return result;
    pauseMs = Math.min(Math.max(FIRST_PAUSE_MS, 2 * pauseMs), MAX_PAUSE_MS);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, pauseMs);
    return -EINTR;
  };
}
