import { callLibc } from "../call.ts";
import { libc } from "../libc.ts";

/* struct statfs is larger than its first member, f_type, an unsigned long of
 * which the lower half counts. One buffer serves all calls. */
const buffer = new Uint8Array(256);
const view = new DataView(buffer.buffer);

/**
 * The kernel's number for the filesystem of an open file. See fstatfs(2).
 *
 * @returns f_type, or minus the error number.
 */
export function fsMagicOfFd(fd: number): number {
  const result = callLibc(() => libc.fstatfs(fd, buffer));
  return result < 0 ? result : view.getUint32(0, true);
}
