import { callLibc } from "./call.ts";
import { libc } from "./libc.ts";
import { SYSCALL_NUMBERS } from "./sleeping_call.ts";

const KCMP_FILE = 0n;

/** A descriptor of some process. */
export interface ForeignDescriptor {
  /** The process. */
  pid: number;
  /** The descriptor's number there. */
  fd: number;
}

/**
 * Compares the open file descriptions behind two descriptors, by kcmp(2).
 *
 * Permissions: `--allow-ffi`, and the right to inspect both processes as
 * ptrace(2) has it.
 *
 * @returns 0 when they share one; 1 or -1, an order among all of them, when
 * not; `undefined` when the kernel doesn't tell.
 */
export function compareOpenFiles(
  a: ForeignDescriptor,
  b: ForeignDescriptor,
): -1 | 0 | 1 | undefined {
  const result = callLibc(() =>
    libc.syscall_numbers(
      BigInt(SYSCALL_NUMBERS.kcmp),
      BigInt(a.pid),
      BigInt(b.pid),
      KCMP_FILE,
      BigInt(a.fd),
      BigInt(b.fd),
    )
  );
  switch (result) {
    case 0:
      return 0;
    case 1:
      return -1;
    case 2:
      return 1;
  }
  return undefined;
}
