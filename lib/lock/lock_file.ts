/**
 * Opening a file to lock it, whatever stands at its path.
 *
 * @module
 */

import { dirname } from "../sys/path_parts.ts";
import { LockPath, type PathLike, toPath } from "./lock_path.ts";
import {
  EACCES,
  EEXIST,
  EISDIR,
  ELOOP,
  ENAMETOOLONG,
  ENOENT,
  ENOTDIR,
  ENXIO,
  EPERM,
  EROFS,
  ETXTBSY,
} from "../sys/errno.ts";
import { LockError, SyscallError } from "../sys/error.ts";
import {
  closeFile,
  type DescriptorWatcher,
  type FileStat,
  hasDescriptorWatcher,
  O_APPEND,
  O_CLOEXEC,
  O_CREAT,
  O_NOCTTY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
  O_RDWR,
  openFile,
  statFd,
  statPath,
  watchDescriptors,
} from "../sys/file.ts";
import { makeDirectory, statIfAny } from "../sys/storage/names.ts";
import { quotePath } from "../proc/printable.ts";
import { followLinks } from "./symlink.ts";

/** How a lock file is opened. */
export interface OpenLockFileOptions {
  /** Create the file if it isn't there; `true` unless said otherwise. */
  create?: boolean | undefined;
  /** Create missing parent directories too (mode 0777 less the umask). */
  createParents?: boolean | undefined;
  /**
   * Open for reading only, which asks for less permission but can't hold an
   * exclusive lock on NFS. A file that may not be written is opened that way
   * anyway.
   */
  readOnly?: boolean | undefined;
  /**
   * Refuse a file that may not be written, instead of opening it for reading
   * only; `at-end` opens it for appending, which asks for less.
   */
  writing?: "anywhere" | "at-end" | undefined;
}

const COMMON = O_CLOEXEC | O_NOCTTY | O_NOFOLLOW;

/** A file opened to be locked. */
export interface OpenedLockFile {
  /** The descriptor, close-on-exec. */
  fd: number;
  /** What it was when it was opened. */
  stat: FileStat;
}

/**
 * Opens a file to lock it, creating it (mode 0666 less the umask) if it isn't
 * there. The descriptor is close-on-exec.
 *
 * A file that may not be written, a directory, a running program and a
 * block device are opened for reading only, which suffices to flock them. A
 * symbolic link is followed, unless it stands in a sticky directory that
 * others can write to and belongs to someone else, whatever
 * fs.protected_symlinks says. FIFOs, sockets and character devices are refused.
 *
 * Permissions: `--allow-ffi`. See open(2), and proc_sys_fs(5) for
 * protected_regular and protected_symlinks.
 *
 * @param path The lock file.
 * @param options What to create and how to open.
 * @returns The descriptor, which the caller closes, and what it refers to.
 * @throws {SyscallError} when it can't be opened or created.
 * @throws {LockError} when what stands there can't be a lock file.
 */
export function openLockFile(
  path: PathLike,
  options: OpenLockFileOptions = {},
): OpenedLockFile {
  const given = toPath(path);
  return openNamed(new LockPath(given, given), options);
}

/** Whether this is a Worker, which may be terminated at any moment. */
export const inWorker: boolean = "WorkerGlobalScope" in globalThis;

/** What is open in a Worker while that is loaded which closes it in the end. */
class EarlyDescriptors implements DescriptorWatcher {
  readonly open = new Set<number>();

  opened(fd: number): void {
    this.open.add(fd);
  }

  closed(fd: number): void {
    this.open.delete(fd);
  }
}

/** Has descriptors closed when this Worker ends, once that is loaded. */
export async function closeWithWorker(): Promise<void> {
  if (!hasDescriptorWatcher()) watchDescriptors(new EarlyDescriptors());
  (await import("../sys/thread/worker_descriptors.ts")).closeWithWorker();
}

/** Opens the file that a path meant when it was given. */
export function openNamed(
  path: LockPath,
  options: OpenLockFileOptions,
): OpenedLockFile {
  if (inWorker && !hasDescriptorWatcher()) closeWithWorker();
  const { create = true, createParents = false, readOnly = false, writing } =
    options;
  const { absolute } = path;
  const creation = create ? O_CREAT : 0;
  // A FIFO or a device mustn't keep this waiting for its other end.
  const access = readOnly
    ? O_RDONLY | O_NONBLOCK
    : O_RDWR | (writing === "at-end" ? O_APPEND : 0);
  let fd = openFile(absolute, COMMON | access | creation);
  if (fd === -ENOENT && create && createParents) {
    makeDirectories(dirname(absolute));
    fd = openFile(absolute, COMMON | access | creation);
  }
  if (fd < 0) fd = openFallback(path, access, creation, writing, -fd);
  return checkFileType(fd, path);
}

/** What open(2) says where reading may still be possible. */
const NOT_WRITABLE = [EACCES, EROFS, EPERM, ETXTBSY, EISDIR];

/** Opens a file; gives the descriptor, or minus the error number. */
type Open = (flags: number) => number;

/** The ways left after the first open(2) failed with `errno`. */
function openFallback(
  path: LockPath,
  access: number,
  creation: number,
  writing: OpenLockFileOptions["writing"],
  errno: number,
): number {
  const { absolute } = path;
  let fd = -errno;
  // fs.protected_symlinks answers EACCES, O_NOFOLLOW answers ELOOP first.
  if (errno === ELOOP || errno === EACCES && isSymlink(absolute)) {
    const end = followLinks(path);
    if (typeof end === "number") throw openError(path, -end, writing);
    using _end = end;
    const open: Open = (flags) => end.open((COMMON & ~O_NOFOLLOW) | flags);
    fd = open(access | creation);
    if (fd < 0) fd = openOtherwise(open, access, creation, writing, fd);
  } else {
    const open: Open = (flags) => openFile(absolute, COMMON | flags);
    fd = openOtherwise(open, access, creation, writing, fd);
  }
  if (fd >= 0) return fd;
  throw openError(path, -fd, writing);
}

/** Asks for less than the open(2) that has given `fd`. */
function openOtherwise(
  open: Open,
  access: number,
  creation: number,
  writing: OpenLockFileOptions["writing"],
  fd: number,
): number {
  // fs.protected_regular answers O_CREAT on somebody else's file in a sticky
  // directory with EACCES, even to root; the file itself may be writable.
  if (fd === -EACCES && creation !== 0) {
    const existing = open(access);
    // Without the file it was the directory that may not be written.
    if (existing !== -ENOENT) fd = existing;
  }
  // To flock a file it is enough to read it.
  if (writing === undefined && NOT_WRITABLE.includes(-fd)) {
    const readFd = open(O_RDONLY | O_NONBLOCK);
    // "Read-only filesystem" explains a missing file better than ENOENT.
    if (readFd !== -ENOENT) fd = readFd;
  }
  return fd;
}

function openError(
  path: LockPath,
  errno: number,
  writing?: OpenLockFileOptions["writing"],
): SyscallError {
  return new SyscallError(writing ? "open" : "open lock file", {
    syscall: "open",
    errno,
    path: path.given,
    advice: openAdvice(path, errno),
  });
}

function openAdvice(path: LockPath, errno: number): string | undefined {
  if (path.given.endsWith("/") && [EISDIR, ENOENT, ENOTDIR].includes(errno)) {
    return "its name ends with a slash, and there is no such directory";
  }
  switch (errno) {
    case ENOENT: {
      if (path.given === "") return "the path is empty";
      return statIfAny(dirname(path.absolute)) !== undefined
        ? "there is no such file"
        : `the directory ${quotePath(dirname(path.given))} does not exist, ` +
          "create it first";
    }
    case ENOTDIR:
      return "a part of the path before the last is not a directory";
    case EACCES:
      return statIfAny(path.absolute) === undefined
        ? `check the permissions of the directory ` +
          `${quotePath(dirname(path.given))}, or choose a path of your own`
        : "check the permissions of the file and of its directories, " +
          "or choose a path of your own";
    case EROFS:
      return "choose a lock file on a writable filesystem";
    case ENAMETOOLONG:
      return "a name may have 255 bytes and a path 4095";
    case ELOOP:
      return "its symbolic links form a loop";
    case ENXIO:
      return "it is a socket or a device without a driver, " +
        "choose a regular file";
    default:
      return undefined;
  }
}

function checkFileType(fd: number, path: LockPath): OpenedLockFile {
  let stat: FileStat;
  try {
    stat = statFd(fd);
  } catch (error) {
    closeFile(fd);
    throw error;
  }
  switch (stat.type) {
    case "file":
    case "directory":
      return { fd, stat };
    case "block device":
      // Closing a writable descriptor of a block device makes udev probe it.
      return { fd: reopenReadOnly(fd, path), stat };
    default:
      closeFile(fd);
      throw new LockError(
        `Cannot lock ${quotePath(path.given)}: it is a ${stat.type}; ` +
          "a lock file must be a regular file, a directory or a block device",
      );
  }
}

function reopenReadOnly(fd: number, path: LockPath): number {
  const readFd = openFile(
    `/proc/self/fd/${fd}`,
    O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
  );
  closeFile(fd);
  if (readFd < 0) throw openError(path, -readFd);
  return readFd;
}

function isSymlink(path: string): boolean {
  return statIfAny(path, { followSymlink: false })?.type === "symlink";
}

/**
 * Creates a directory and its missing parents, mode 0777 less the umask.
 *
 * @throws {SyscallError} when one can't be created.
 */
export function makeDirectories(path: string): void {
  if (statPath(path)?.type === "directory") return;
  const parent = dirname(path);
  if (parent !== path) makeDirectories(parent);
  const result = makeDirectory(path, 0o777);
  if (result >= 0 || result === -EEXIST) return;
  throw new SyscallError("create directory", {
    syscall: "mkdir",
    errno: -result,
    path,
  });
}

/**
 * Creates a lock file if it isn't there, and does nothing else: it isn't
 * locked, emptied or opened any longer than that takes.
 *
 * Permissions: `--allow-ffi`. See open(2).
 *
 * @param path The lock file.
 * @param options `createParents` creates missing directories.
 * @throws {SyscallError} when it can't be created.
 *
 * @example
 * ```ts
 * import { materialize } from "@holdfast/holdfast";
 *
 * materialize("/tmp/holdfast-example.lock");
 * ```
 */
export function materialize(
  path: PathLike,
  options: Pick<OpenLockFileOptions, "createParents"> = {},
): void {
  closeFile(openLockFile(path, { ...options, create: true }).fd);
}

/**
 * Opens an existing lock file to look at it: never creates, never writes.
 *
 * @returns The open file, or `undefined` when there is no such file.
 * @throws {SyscallError} when it exists and can't be opened.
 */
export function probeLockFile(path: PathLike): OpenedLockFile | undefined {
  const name = toPath(path);
  if (statPath(name) === undefined) return undefined;
  try {
    return openLockFile(name, { create: false, readOnly: true });
  } catch (error) {
    if (error instanceof SyscallError && error.errno === ENOENT) {
      return undefined;
    }
    throw error;
  }
}
