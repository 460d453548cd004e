import { quotePath } from "../proc/printable.ts";
import { errnoName } from "./errno.ts";
import { libc } from "./libc.ts";

/**
 * The base of every failure that holdfast reports about a lock.
 *
 * Bad arguments are `TypeError` or `RangeError`; a caller's abort rejects with
 * the signal's own reason.
 */
export class LockError extends Error {
  /** The name of the class. */
  override name = "LockError";
}

/** What a {@linkcode SyscallError} is made of. */
export interface SyscallErrorInit {
  /** The C function that failed, such as `flock`. */
  syscall: string;
  /** The positive error number. */
  errno: number;
  /** The file it was called on. */
  path?: string | undefined;
  /** What the user can do about it, a clause without a full stop. */
  advice?: string | undefined;
}

/**
 * A system call failed.
 *
 * The message says what was tried, on which path, what the kernel answered and
 * what to do: `Cannot lock "/x": flock returned ENOLCK (37), no locks
 * available`.
 */
export class SyscallError extends LockError {
  /** The name of the class. */
  override name = "SyscallError";
  /** The C function that failed, such as `flock`. */
  readonly syscall: string;
  /** The positive error number; see errno(3). */
  readonly errno: number;
  /** The name of the error number, such as `ENOLCK`. */
  readonly code: string;
  /** The file it was called on. */
  readonly path: string | undefined;

  /**
   * Makes the error and its message.
   *
   * @param action What was tried, such as `lock`: the text after "Cannot".
   * @param init The call, its error number, path and advice.
   */
  constructor(action: string, init: SyscallErrorInit) {
    const { syscall, errno, path, advice } = init;
    const text = errnoText(errno);
    const code = errnoName(errno);
    const target = path === undefined ? "" : ` ${quotePath(path)}`;
    const tail = advice === undefined ? "" : `; ${advice}`;
    super(
      `Cannot ${action}${target}: ${syscall} returned ${code} (${errno}), ` +
        text.charAt(0).toLowerCase() + text.slice(1) + tail,
    );
    this.syscall = syscall;
    this.errno = errno;
    this.code = code;
    this.path = path;
  }
}

/** The C library's own words for an error number, starting in upper case. */
export function errnoText(errno: number): string {
  const pointer = libc.strerror(errno);
  return pointer === null
    ? "Unknown error"
    : Deno.UnsafePointerView.getCString(pointer);
}
