import { callLibc } from "../sys/call.ts";
import { SyscallError } from "../sys/error.ts";
import { libc } from "../sys/libc.ts";

const F_SETFD = 2;
const FD_CLOEXEC = 1;

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
