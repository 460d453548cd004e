/**
 * Names of Linux error numbers, from include/uapi/asm-generic/errno-base.h and
 * errno.h, which x86-64 and aarch64 share.
 *
 * @module
 */

const NAMES: Readonly<Record<number, string>> = {
  1: "EPERM",
  2: "ENOENT",
  3: "ESRCH",
  4: "EINTR",
  5: "EIO",
  6: "ENXIO",
  7: "E2BIG",
  8: "ENOEXEC",
  9: "EBADF",
  10: "ECHILD",
  11: "EAGAIN",
  12: "ENOMEM",
  13: "EACCES",
  14: "EFAULT",
  15: "ENOTBLK",
  16: "EBUSY",
  17: "EEXIST",
  18: "EXDEV",
  19: "ENODEV",
  20: "ENOTDIR",
  21: "EISDIR",
  22: "EINVAL",
  23: "ENFILE",
  24: "EMFILE",
  25: "ENOTTY",
  26: "ETXTBSY",
  27: "EFBIG",
  28: "ENOSPC",
  29: "ESPIPE",
  30: "EROFS",
  31: "EMLINK",
  32: "EPIPE",
  33: "EDOM",
  34: "ERANGE",
  35: "EDEADLK",
  36: "ENAMETOOLONG",
  37: "ENOLCK",
  38: "ENOSYS",
  39: "ENOTEMPTY",
  40: "ELOOP",
  61: "ENODATA",
  71: "EPROTO",
  75: "EOVERFLOW",
  84: "EILSEQ",
  88: "ENOTSOCK",
  95: "EOPNOTSUPP",
  103: "ECONNABORTED",
  104: "ECONNRESET",
  107: "ENOTCONN",
  110: "ETIMEDOUT",
  111: "ECONNREFUSED",
  112: "EHOSTDOWN",
  113: "EHOSTUNREACH",
  115: "EINPROGRESS",
  116: "ESTALE",
  121: "EREMOTEIO",
  122: "EDQUOT",
  125: "ECANCELED",
};

/** Operation not permitted. */
export const EPERM = 1;
/** No such file or directory. */
export const ENOENT = 2;
/** No such process. */
export const ESRCH = 3;
/** Interrupted by a signal. */
export const EINTR = 4;
/** Input/output error. */
export const EIO = 5;
/** No such device or address: a socket, or a FIFO without a reader. */
export const ENXIO = 6;
/** Not a program the kernel can run: a script without `#!`. */
export const ENOEXEC = 8;
/** Bad file descriptor, or one not open for what was asked. */
export const EBADF = 9;
/** Try again: the lock is taken. */
export const EAGAIN = 11;
/** Out of memory. */
export const ENOMEM = 12;
/** Permission denied. */
export const EACCES = 13;
/** Device or resource busy: a mount point, for one. */
export const EBUSY = 16;
/** File exists. */
export const EEXIST = 17;
/** Not on the same mount. */
export const EXDEV = 18;
/** No such device, or the kernel has no such filesystem. */
export const ENODEV = 19;
/** Not a directory. */
export const ENOTDIR = 20;
/** Is a directory. */
export const EISDIR = 21;
/** Invalid argument. */
export const EINVAL = 22;
/** Too many open files in the system. */
export const ENFILE = 23;
/** Too many open files in this process. */
export const EMFILE = 24;
/** Text file busy: the file is a program that runs now. */
export const ETXTBSY = 26;
/** Longer than a file may be. */
export const EFBIG = 27;
/** No space left on the device. */
export const ENOSPC = 28;
/** Read-only filesystem. */
export const EROFS = 30;
/** The wait would close a ring of waiters. */
export const EDEADLK = 35;
/** File name too long. */
export const ENAMETOOLONG = 36;
/** No locks available. */
export const ENOLCK = 37;
/** Function not implemented. */
export const ENOSYS = 38;
/** Too many symbolic links, or O_NOFOLLOW met one. */
export const ELOOP = 40;
/** Beyond the largest possible offset. */
export const EOVERFLOW = 75;
/** Operation not supported. */
export const EOPNOTSUPP = 95;
/** Disk quota exceeded. */
export const EDQUOT = 122;

/**
 * The symbolic name of an error number.
 *
 * @param errno A positive Linux error number.
 * @returns The name, or `errno N` for a number outside the table.
 *
 * @example
 * ```ts
 * import { errnoName } from "./errno.ts";
 * console.log(errnoName(37)); // ENOLCK
 * ```
 */
export function errnoName(errno: number): string {
  return NAMES[errno] ?? `errno ${errno}`;
}

/** Whether an error number means that a /proc entry's process has ended. */
export function isGone(errno: number): boolean {
  return errno === ENOENT || errno === ESRCH;
}
/** It has begun and not ended yet. */
export const EINPROGRESS = 115;
/** The file is gone from its server. */
export const ESTALE = 116;
