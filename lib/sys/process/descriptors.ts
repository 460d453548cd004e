/**
 * Descriptors of this process: how many there may be, and one function for
 * each command of fcntl(2) that isn't about record locks. What gives a number
 * gives minus the error number when it fails.
 *
 * @module
 */

import { callLibc } from "../call.ts";
import { SyscallError } from "../error.ts";
import { noteOpened } from "../file.ts";
import { libc } from "../libc.ts";

const RLIMIT_NOFILE = 7;
const F_GETFD = 1;
const F_SETFD = 2;
const F_GETFL = 3;
const F_SETFL = 4;
const F_SETOWN = 8;
const F_SETSIG = 10;
const F_SETLEASE = 1024;
const F_DUPFD_CLOEXEC = 1030;
const FD_CLOEXEC = 1;

/**
 * Gives commands started from now on the limit of open descriptors that this
 * process was started with.
 *
 * The runtime raises the soft limit to the hard one, and programs that use
 * select(2) or close every possible descriptor suffer from that. What it was
 * is lost; the parent's is taken for it, unless the hard limits differ, which
 * shows that somebody set them in between. See prlimit(2).
 */
export function restoreDescriptorLimit(): void {
  // struct rlimit: soft limit, hard limit
  const own = new BigUint64Array(2);
  const parent = new BigUint64Array(2);
  // The parent may be somebody else's, or not be visible from here.
  if (
    libc.prlimit(0, RLIMIT_NOFILE, null, own) !== 0 ||
    libc.prlimit(libc.getppid(), RLIMIT_NOFILE, null, parent) !== 0
  ) return;
  if (own[1] !== parent[1] || own[0] === parent[0]) return;
  libc.prlimit(0, RLIMIT_NOFILE, parent, null);
}

/**
 * Whether a descriptor is open and goes on to commands, as one that this
 * process was started with does, and none that the runtime has opened for
 * itself. See F_GETFD(2const).
 */
export function isInheritable(fd: number): boolean {
  return libc.fcntl_int(fd, F_GETFD, 0) === 0;
}

/** F_GETFL: the `O_` flags a descriptor was opened with. */
export function openFlags(fd: number): number {
  return callLibc(() => libc.fcntl_int(fd, F_GETFL, 0));
}

/** F_SETFL: what may be changed of those flags. */
export function setOpenFlags(fd: number, flags: number): number {
  return callLibc(() => libc.fcntl_int(fd, F_SETFL, flags));
}

/** F_DUPFD_CLOEXEC: another descriptor of the same open file. */
export function duplicate(fd: number): number {
  return noteOpened(callLibc(() => libc.fcntl_int(fd, F_DUPFD_CLOEXEC, 0)));
}

/** F_SETSIG: the signal that tells of the descriptor, in place of SIGIO. */
export function setSignal(fd: number, signal: number): number {
  return callLibc(() => libc.fcntl_int(fd, F_SETSIG, signal));
}

/** F_SETOWN: the process that is sent that signal; 0 for none. */
export function setSignalOwner(fd: number, pid: number): number {
  return callLibc(() => libc.fcntl_int(fd, F_SETOWN, pid));
}

/* F_WRLCK and F_UNLCK */
const LEASES = { write: 1, none: 2 } as const;

/** F_SETLEASE: takes a lease on the open file, or gives it up. */
export function setLease(fd: number, lease: keyof typeof LEASES): number {
  return callLibc(() => libc.fcntl_int(fd, F_SETLEASE, LEASES[lease]));
}

/**
 * Lets commands started from now on inherit a descriptor, or not.
 *
 * @throws {SyscallError} when the descriptor is closed.
 */
export function setDescriptorInheritable(
  fd: number,
  inheritable: boolean,
  path: string,
): void {
  const flags = inheritable ? 0 : FD_CLOEXEC;
  const result = callLibc(() => libc.fcntl_int(fd, F_SETFD, flags));
  if (result >= 0) return;
  throw new SyscallError("change the inheritance of lock", {
    syscall: "fcntl",
    errno: -result,
    path,
  });
}
