import { encodePath } from "../proc/path_text.ts";
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
  return result !== -1 && result !== -1n
    ? Number(result)
    : explain(call, EINTR);
}

/** Like {@linkcode callLibc}, but hands EINTR back: for waits that time out. */
export function callLibcOnce(call: () => number | bigint): number {
  const result = call();
  return result !== -1 && result !== -1n ? Number(result) : explain(call);
}

/**
 * Learns why a call failed, by making it again until it fails twice in a row
 * for one reason; or succeeds after all.
 *
 * Between the end of a C call and the reading of errno the JavaScript engine
 * may make system calls of its own, such as a futex(2) that leaves EAGAIN:
 * seen once in 45,000 failing calls of young processes on a busy machine. A
 * call that failed has changed nothing, so it can be made again; and a process
 * whose calls don't fail pays nothing.
 *
 * It stands apart so that the compiler inlines what is left of its callers
 * into the hot paths.
 *
 * @param retried An error number that is never handed back.
 */
function explain(call: () => number | bigint, retried?: number): number {
  let before = lastErrno();
  for (;;) {
    const result = call();
    if (result !== -1 && result !== -1n) return Number(result);
    const errno = lastErrno();
    if (errno !== undefined && errno === before && errno !== retried) {
      return -errno;
    }
    before = errno;
  }
}

/* To lock a file takes its path several times over, and to make bytes that a
 * C call can see costs as much as a system call. */
let lastPath: string | undefined;
let lastBytes: Uint8Array<ArrayBuffer> | undefined;

/**
 * A path as the C library takes it: bytes ended by NUL. They may be shared with
 * others who name the same path: they are never written to.
 *
 * @throws {TypeError} when the path contains NUL.
 */
export function cString(path: string): Uint8Array<ArrayBuffer> {
  if (lastBytes !== undefined && path === lastPath) return lastBytes;
  if (path.includes("\0")) {
    throw new TypeError("A path must not contain the NUL character");
  }
  lastBytes = encodePath(path + "\0");
  lastPath = path;
  return lastBytes;
}
