/**
 * The CPUs that a thread may run on.
 *
 * @module
 */

import { callLibc } from "../call.ts";
import { EINVAL } from "../errno.ts";
import { SyscallError } from "../error.ts";
import { libc } from "../libc.ts";

/** Room for 8192 CPUs, the most that Linux is built for (NR_CPUS). */
const SET_BYTES = 1024;

/**
 * The CPUs that the calling thread may run on.
 *
 * Permissions: `--allow-ffi`. See sched_getaffinity(2).
 *
 * @returns Their numbers, ascending.
 * @throws {SyscallError} when the kernel has more CPUs than 8192.
 */
export function getAffinity(): number[] {
  const set = new Uint8Array(SET_BYTES);
  const result = callLibc(() =>
    libc.sched_getaffinity(0, BigInt(SET_BYTES), set)
  );
  if (result < 0) {
    throw new SyscallError("read the CPU affinity", {
      syscall: "sched_getaffinity",
      errno: -result,
    });
  }
  // A long is little-endian here: bit N is bit N % 8 of byte N / 8.
  return [...set.entries()].flatMap(([index, byte]) =>
    [0, 1, 2, 3, 4, 5, 6, 7].filter((bit) => (byte >> bit) & 1)
      .map((bit) => index * 8 + bit)
  );
}

/**
 * Has the calling thread run on some CPUs only, and with it the commands that
 * it starts or becomes from now on. Other threads of this process aren't
 * touched.
 *
 * Permissions: `--allow-ffi`. See sched_setaffinity(2).
 *
 * @param cpus Their numbers, 0 to 8191.
 * @throws {SyscallError} when it may run on none of them.
 */
export function setAffinity(cpus: readonly number[]): void {
  const set = new Uint8Array(SET_BYTES);
  for (const cpu of cpus) set[cpu >> 3]! |= 1 << (cpu & 7);
  const result = callLibc(() =>
    libc.sched_setaffinity(0, BigInt(SET_BYTES), set)
  );
  if (result >= 0) return;
  throw new SyscallError(`run on CPUs ${cpus.join(",")}`, {
    syscall: "sched_setaffinity",
    errno: -result,
    advice: result === -EINVAL
      ? "they are offline or not in this process's cpuset"
      : undefined,
  });
}
