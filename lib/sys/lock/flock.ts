/**
 * flock(2) on an open descriptor. What gives a number gives 0, or minus the
 * error number.
 *
 * @module
 */

import { callLibc, callLibcOnce } from "../call.ts";
import { libc } from "../libc.ts";
import { type ParkedCall, parkLockCall } from "../thread/parked_call.ts";

/**
 * `exclusive`: one holder. `shared`: any number of shared holders, and no
 * exclusive one meanwhile.
 */
export type LockMode = "exclusive" | "shared";

/* LOCK_SH and LOCK_EX of include/uapi/asm-generic/fcntl.h */
const OPERATIONS: Readonly<Record<LockMode, number>> = {
  shared: 1,
  exclusive: 2,
};
const LOCK_NB = 4;
const LOCK_UN = 8;

/** Locks or converts without waiting; EAGAIN while another is in the way. */
export function flockNow(fd: number, mode: LockMode): number {
  const operation = OPERATIONS[mode] | LOCK_NB;
  return callLibc(() => libc.flock(fd, operation));
}

/** This thread sleeps until it is locked; EINTR after a signal. */
export function flockAsleep(fd: number, mode: LockMode): number {
  const operation = OPERATIONS[mode];
  return callLibcOnce(() => libc.flock(fd, operation));
}

/** A thread of its own sleeps until it is locked; see {@linkcode parkLockCall}. */
export function parkFlock(fd: number, mode: LockMode): ParkedCall | undefined {
  return parkLockCall("flock", [fd, OPERATIONS[mode]]);
}

/** Gives up the lock of the open file, whoever else has it open. */
export function unflock(fd: number): number {
  return callLibc(() => libc.flock(fd, LOCK_UN));
}
