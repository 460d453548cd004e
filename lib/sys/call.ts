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
  for (;;) {
    const result = callLibcOnce(call);
    if (result !== -EINTR) return result;
  }
}

/** Like {@linkcode callLibc}, but hands EINTR back: for waits that time out. */
export function callLibcOnce(call: () => number | bigint): number {
  for (;;) {
    const result = call();
    if (result !== -1 && result !== -1n) return Number(result);
    const errno = lastErrno();
    // The very first failure has only made errno readable: a process that
    // never fails doesn't pay for that. The call is made again to learn why.
    if (errno !== undefined) return -errno;
  }
}

const encoder = new TextEncoder();

/**
 * A path as the C library takes it: UTF-8 bytes ended by NUL.
 *
 * @throws {TypeError} when the path is empty or contains NUL.
 */
export function cString(path: string): Uint8Array<ArrayBuffer> {
  if (path.includes("\0")) {
    throw new TypeError("A path must not contain the NUL character");
  }
  return encoder.encode(path + "\0");
}
