import { EINTR } from "./errno.ts";
import { lastErrno } from "./libc.ts";

/**
 * Makes one C call that reports failure as -1, and again as long as a signal
 * interrupts it: the only place that retries EINTR.
 *
 * @param call The C call and nothing else, so that errno is its own.
 * @returns The call's result, or minus the error number, as the kernel itself
 * reports it.
 *
 * @example
 * ```ts ignore
 * const result = callLibc(() => libc.flock(fd, LOCK_EX | LOCK_NB));
 * if (result === -EAGAIN) console.log("somebody else holds it");
 * ```
 */
export function callLibc(call: () => number | bigint): number {
  const result = call();
  return result !== -1 && result !== -1n ? Number(result) : explain(call);
}

/* The loops stand apart so that the compiler inlines what is left of callLibc
 * and callLibcOnce into the hot paths. */
function explain(call: () => number | bigint): number {
  let errno = lastErrno();
  while (errno === undefined || errno === EINTR) {
    const result = call();
    if (result !== -1 && result !== -1n) return Number(result);
    errno = lastErrno();
  }
  return -errno;
}

/** Like {@linkcode callLibc}, but hands EINTR back: for waits that time out. */
export function callLibcOnce(call: () => number | bigint): number {
  const result = call();
  return result !== -1 && result !== -1n ? Number(result) : explainOnce(call);
}

function explainOnce(call: () => number | bigint): number {
  const errno = lastErrno();
  // The very first failure has only made errno readable: a process that
  // never fails doesn't pay for that. The call is made again to learn why.
  return errno === undefined ? callLibcOnce(call) : -errno;
}

const encoder = new TextEncoder();

/* To lock a file takes its path several times over, and to make bytes that a
 * C call can see costs as much as a system call. */
let lastPath: string | undefined;
let lastBytes: Uint8Array<ArrayBuffer> | undefined;

/**
 * A path as the C library takes it: UTF-8 bytes ended by NUL. The bytes may be
 * shared with others who name the same path: they are never written to.
 *
 * @throws {TypeError} when the path is empty or contains NUL.
 */
export function cString(path: string): Uint8Array<ArrayBuffer> {
  if (lastBytes !== undefined && path === lastPath) return lastBytes;
  if (path.includes("\0")) {
    throw new TypeError("A path must not contain the NUL character");
  }
  lastBytes = encoder.encode(path + "\0");
  lastPath = path;
  return lastBytes;
}
