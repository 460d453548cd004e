import { libc } from "./libc.ts";

const POLLIN = 1;

/**
 * Waits, on a helper thread, until one of several descriptors has something to
 * read.
 *
 * Permissions: `--allow-ffi`. See poll(2).
 *
 * @param fds Open descriptors, which stay open until it returns.
 * @param timeoutMs The longest wait in milliseconds.
 * @returns Whether one is readable, or has an error to tell.
 */
export async function waitReadable(
  fds: readonly number[],
  timeoutMs: number,
): Promise<boolean> {
  // struct pollfd: int fd, short events, short revents
  const entries = new Int32Array(2 * fds.length);
  fds.forEach((fd, index) => {
    entries[2 * index] = fd;
    entries[2 * index + 1] = POLLIN;
  });
  return await libc.poll_async(entries, BigInt(fds.length), timeoutMs) > 0;
}
