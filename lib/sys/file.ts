/**
 * Files through libc: enough to open, identify and read them with nothing but
 * `--allow-ffi`. Deno's own file API would ask for `--allow-all` to read what
 * is under /proc.
 *
 * @module
 */

import { decodePath } from "../proc/path_text.ts";
import { callLibc, cString } from "./call.ts";
import { ENOENT, ENOTDIR } from "./errno.ts";
import { SyscallError } from "./error.ts";
import { libc } from "./libc.ts";

const isArm = Deno.build.arch === "aarch64";

/** Open for reading only. */
export const O_RDONLY = 0;
/** Open for writing only. */
export const O_WRONLY = 1;
/** Open for reading and writing. */
export const O_RDWR = 2;
/** Create the file if it doesn't exist. */
export const O_CREAT = 0o100;
/** Fail if the file exists. */
export const O_EXCL = 0o200;
/** Don't let a terminal become the controlling one. */
export const O_NOCTTY = 0o400;
/** Empty the file. */
export const O_TRUNC = 0o1000;
/** Write at the end. */
export const O_APPEND = 0o2000;
/** Don't block on open. */
export const O_NONBLOCK = 0o4000;
/** Fail unless it is a directory. */
export const O_DIRECTORY: number = isArm ? 0o40000 : 0o200000;
/** Fail with ELOOP if the last component is a symbolic link. */
export const O_NOFOLLOW: number = isArm ? 0o100000 : 0o400000;
/** Close on exec. */
export const O_CLOEXEC = 0o2000000;
/** Only a handle on the name: no access to content, no side effect. */
export const O_PATH = 0o10000000;

/**
 * open(2).
 *
 * @param path The file.
 * @param flags `O_` flags.
 * @param mode Permission bits of a created file, before the umask.
 * @returns The descriptor, or minus the error number.
 */
export function openFile(path: string, flags: number, mode = 0o666): number {
  const name = cString(path);
  const fd = callLibc(() => libc.open(name, flags, mode));
  return watcher === undefined ? fd : noteOpened(fd);
}

/**
 * close(2), once: after an interrupted close the descriptor is gone on Linux
 * all the same, and closing its number again might hit another thread's file.
 */
export function closeFile(fd: number): void {
  if (keepOpen !== undefined && keepOpen(fd)) return;
  watcher?.closed(fd);
  libc.close(fd);
}

/** Somebody who is told what is opened and closed. */
export interface DescriptorWatcher {
  /** A descriptor has been opened. */
  opened(fd: number): void;
  /** It is about to be closed. */
  closed(fd: number): void;
  /** What the next one is to be told of that is open by then. */
  readonly open?: Iterable<number>;
}

let watcher: DescriptorWatcher | undefined;

/** Tells someone of each descriptor from now on, in place of who was told. */
export function watchDescriptors(someone: DescriptorWatcher): void {
  const { open = [] } = watcher ?? {};
  watcher = someone;
  for (const fd of open) someone.opened(fd);
}

/** Whether anyone is told. */
export const hasDescriptorWatcher = (): boolean => watcher !== undefined;

/** Tells the watcher of what another call than open(2) gave; gives it back. */
export function noteOpened(fd: number): number {
  if (fd >= 0) watcher?.opened(fd);
  return fd;
}

/** Tells it of a descriptor that another thread is about to close. */
export function noteClosed(fd: number): void {
  watcher?.closed(fd);
}

let keepOpen: ((fd: number) => boolean) | undefined;

/**
 * Lets someone keep descriptors open that would have been closed: a close may
 * have effects on other descriptors of the file.
 *
 * @param guard Asked before each close; when it returns true, closing the
 * descriptor later is its own affair. `undefined` asks nobody.
 */
export function deferCloses(
  guard: ((fd: number) => boolean) | undefined,
): void {
  keepOpen = guard;
}

/** What a file is, from the type bits of st_mode. */
export type FileType =
  | "file"
  | "directory"
  | "symlink"
  | "fifo"
  | "socket"
  | "character device"
  | "block device"
  | "unknown";

const FILE_TYPES: Readonly<Record<number, FileType>> = {
  0o01: "fifo",
  0o02: "character device",
  0o04: "directory",
  0o06: "block device",
  0o10: "file",
  0o12: "symlink",
  0o14: "socket",
};

/** What statx(2) says of a file. */
export interface FileStat {
  /** What it is. */
  type: FileType;
  /** Permission bits, 0 to 0o7777. */
  permissions: number;
  /** Number of hard links. */
  links: number;
  /** Owner. */
  uid: number;
  /** Owning group. */
  gid: number;
  /** st_ino. On btrfs and overlay it doesn't identify the file in /proc. */
  inode: bigint;
  /** Size in bytes. */
  size: bigint;
  /** Last change of content, in milliseconds since 1970. */
  modifiedMs: number;
  /** Device number of st_dev; see {@linkcode FileStat.inode} for its limits. */
  deviceMajor: number;
  /** Device number of st_dev, minor part. */
  deviceMinor: number;
  /** The mount it is on, a number never given twice; from Linux 6.8. */
  mountId: number | undefined;
}

const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_EMPTY_PATH = 0x1000;
const AT_NO_AUTOMOUNT = 0x800;
const AT_STATX_DONT_SYNC = 0x4000;
const STATX_BASIC_STATS = 0x7ff;
const STATX_MNT_ID_UNIQUE = 0x4000;
const EMPTY_PATH = new Uint8Array(1);

/* The layout of struct statx is the same on every architecture. One buffer
 * serves all calls: it is decoded before anything else can run. */
const statxBuffer = new Uint8Array(256);
const statxView = new DataView(statxBuffer.buffer);

function statx(dirFd: number, path: Uint8Array, flags: number): number {
  return callLibc(() =>
    libc.statx(
      dirFd,
      path as Uint8Array<ArrayBuffer>,
      flags,
      STATX_BASIC_STATS | STATX_MNT_ID_UNIQUE,
      statxBuffer,
    )
  );
}

function decodeStatx(): FileStat {
  const view = statxView;
  const mode = view.getUint16(28, true);
  return {
    type: FILE_TYPES[mode >> 12] ?? "unknown",
    permissions: mode & 0o7777,
    links: view.getUint32(16, true),
    uid: view.getUint32(20, true),
    gid: view.getUint32(24, true),
    inode: view.getBigUint64(32, true),
    size: view.getBigUint64(40, true),
    modifiedMs: Number(view.getBigInt64(112, true)) * 1000 +
      view.getUint32(120, true) / 1e6,
    deviceMajor: view.getUint32(136, true),
    deviceMinor: view.getUint32(140, true),
    mountId: (view.getUint32(0, true) & STATX_MNT_ID_UNIQUE) === 0
      ? undefined
      : view.getUint32(144, true) + view.getUint32(148, true) * 2 ** 32,
  };
}

/**
 * What an open descriptor refers to.
 *
 * @throws {SyscallError} when the descriptor isn't open.
 */
export function statFd(fd: number): FileStat {
  const result = statx(fd, EMPTY_PATH, AT_EMPTY_PATH);
  if (result < 0) {
    throw new SyscallError(`examine file descriptor ${fd}`, {
      syscall: "statx",
      errno: -result,
    });
  }
  return decodeStatx();
}

/**
 * What a path refers to.
 *
 * @param path The file.
 * @param options `followSymlink: false` examines a final symbolic link itself;
 * `cached: true` neither asks a server nor mounts anything.
 * @returns The facts, or `undefined` when nothing has that name.
 * @throws {SyscallError} when the path can't be looked up.
 */
export function statPath(
  path: string,
  options: { followSymlink?: boolean; cached?: boolean } = {},
): FileStat | undefined {
  const flags = (options.followSymlink === false ? AT_SYMLINK_NOFOLLOW : 0) |
    (options.cached ? AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC : 0);
  const result = statx(AT_FDCWD, cString(path), flags);
  return isThere(result, path) ? decodeStatx() : undefined;
}

/**
 * What a name in an open directory refers to; a symbolic link is not followed.
 *
 * @returns The facts, or minus the error number.
 */
export function statAt(dirFd: number, name: string): FileStat | number {
  const flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT;
  const result = statx(dirFd, cString(name), flags);
  return result < 0 ? result : decodeStatx();
}

/** Whether statx(2) has found the file; throws when it can't tell. */
function isThere(result: number, path: string): boolean {
  if (result >= 0) return true;
  if (result === -ENOENT || result === -ENOTDIR) return false;
  throw new SyscallError("examine", {
    syscall: "statx",
    errno: -result,
    path,
  });
}

/** Whether two descriptions are of one file, by st_dev and st_ino. */
export function isSameFile(a: FileStat, b: FileStat): boolean {
  return a.inode === b.inode && a.deviceMajor === b.deviceMajor &&
    a.deviceMinor === b.deviceMinor;
}

/**
 * Whether a path still names a file examined before, by st_dev and st_ino.
 *
 * @throws {SyscallError} when the path can't be looked up.
 */
export function isStillNamed(path: string, file: FileStat): boolean {
  const result = statx(AT_FDCWD, cString(path), 0);
  return isThere(result, path) &&
    statxView.getBigUint64(32, true) === file.inode &&
    statxView.getUint32(136, true) === file.deviceMajor &&
    statxView.getUint32(140, true) === file.deviceMinor;
}

/* struct statfs is larger than its first member, f_type, an unsigned long of
 * which the lower half counts. One buffer serves all calls. */
const statfsBuffer = new Uint8Array(256);
const statfsView = new DataView(statfsBuffer.buffer);

/**
 * The kernel's number for the filesystem of an open file. See fstatfs(2).
 *
 * @returns f_type, or minus the error number.
 */
export function fsMagicOfFd(fd: number): number {
  const result = callLibc(() => libc.fstatfs(fd, statfsBuffer));
  return result < 0 ? result : statfsView.getUint32(0, true);
}

const PROC_SUPER_MAGIC = 0x9fa0;

/** Whether an open file is in /proc, where a link may be more than its text. */
export function isOnProc(fd: number): boolean {
  return fsMagicOfFd(fd) === PROC_SUPER_MAGIC;
}

/**
 * read(2): from where the descriptor stands.
 *
 * @param bytes Where to put what there is, perhaps less than its length.
 * @returns How many bytes, or minus the error number.
 */
export function readNext(fd: number, bytes: Uint8Array<ArrayBuffer>): number {
  return callLibc(() => libc.read(fd, bytes, BigInt(bytes.length)));
}

/** The same from an offset, by pread(2). */
export function readAt(
  fd: number,
  bytes: Uint8Array<ArrayBuffer>,
  offset: bigint,
): number {
  return callLibc(() => libc.pread(fd, bytes, BigInt(bytes.length), offset));
}

/**
 * Reads from a descriptor's present offset to its end.
 *
 * @returns The bytes, or minus the error number.
 */
export function readToEnd(
  fd: number,
  maxBytes: number = Infinity,
): Uint8Array<ArrayBuffer> | number {
  // A large read matters for /proc/locks: each read(2) walks the lists anew.
  let buffer = new Uint8Array(Math.min(maxBytes, 64 * 1024));
  let length = 0;
  for (;;) {
    if (length === buffer.length) {
      if (length >= maxBytes) return buffer;
      const larger = new Uint8Array(Math.min(maxBytes, length * 4));
      larger.set(buffer);
      buffer = larger;
    }
    const count = readNext(fd, buffer.subarray(length));
    if (count < 0) return count;
    if (count === 0) return buffer.subarray(0, length);
    length += count;
  }
}

/**
 * The bytes of a file, as far as it can be read.
 *
 * @param path The file, typically under /proc.
 * @returns The bytes, or minus the error number.
 */
export function readBytes(path: string): Uint8Array<ArrayBuffer> | number {
  const fd = openFile(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (fd < 0) return fd;
  try {
    return readToEnd(fd);
  } finally {
    closeFile(fd);
  }
}

/**
 * The text of a file that may go away at any time, such as one under
 * /proc/PID.
 *
 * @returns The text, with what isn't UTF-8 as `decodePath` has it, or
 * `undefined` when the file is gone or may not be read.
 */
export function readTextIfAny(path: string): string | undefined {
  const bytes = readBytes(path);
  return typeof bytes === "number" ? undefined : decodePath(bytes);
}

/**
 * The text of a file that must be there, such as /proc/locks.
 *
 * @throws {SyscallError} when it can't be read.
 */
export function readText(path: string): string {
  const bytes = readBytes(path);
  if (typeof bytes === "number") {
    throw new SyscallError("read", {
      syscall: "open",
      errno: -bytes,
      path,
      advice: path.startsWith("/proc/")
        ? "is /proc mounted and visible here?"
        : undefined,
    });
  }
  return decodePath(bytes);
}
