/**
 * Filesystems on which flock(2) can't be relied on.
 *
 * @module
 */

import { type PathLike, toPath } from "../lock/lock_path.ts";
import { UnsupportedFilesystemError } from "../lock/unsupported_filesystem_error.ts";
import { SyscallError } from "../sys/error.ts";
import {
  closeFile,
  type FileStat,
  fsMagicOfFd,
  O_CLOEXEC,
  O_PATH,
  openFile,
  readTextIfAny,
  statFd,
} from "../sys/file.ts";
import { readLink } from "../sys/storage/names.ts";
import { dirname } from "../sys/path_parts.ts";
import { quotePath } from "../proc/printable.ts";
import {
  findMountSource,
  type MountSource,
  overlayLayers,
} from "../proc/mount_line.ts";
import {
  type Filesystem,
  filesystemOfMagic,
  filesystemOfType,
  OVERLAYFS_MAGIC,
} from "./filesystem.ts";
import { EXPORTED, findExport, servesFiles } from "./exported.ts";

export { UnsupportedFilesystemError } from "../lock/unsupported_filesystem_error.ts";

/**
 * The kernel's number for the filesystem of an open file, f_type of statfs(2).
 *
 * @throws {SyscallError} when the descriptor isn't open.
 */
export function fsTypeOfFd(fd: number, path?: string): number {
  const magic = fsMagicOfFd(fd);
  if (magic >= 0) return magic;
  throw new SyscallError("find the filesystem of", {
    syscall: "fstatfs",
    errno: -magic,
    path: path ?? `/proc/self/fd/${fd}`,
  });
}

/**
 * Refuses a file on a filesystem where flock(2) may exclude nobody: network,
 * cluster and FUSE filesystems.
 *
 * Given a descriptor, it asks about the very file that is open. Given a path,
 * it asks about that file, or its directory while the file doesn't exist.
 *
 * Permissions: `--allow-ffi`. See fstatfs(2).
 *
 * @param file A descriptor, or a path, which is not created.
 * @param path The path to name in the error when `file` is a descriptor.
 * @throws {UnsupportedFilesystemError} when flock can't be relied on there.
 * @throws {SyscallError} when the filesystem can't be determined.
 *
 * @example
 * ```ts
 * import { rejectRemoteFs } from "@holdfast/holdfast";
 *
 * rejectRemoteFs("/tmp"); // a local directory: nothing happens
 * ```
 */
export function rejectRemoteFs(file: PathLike | number, path?: string): void {
  if (typeof file !== "number") {
    const name = toPath(file, "file");
    const fd = openNearest(name);
    try {
      rejectRemoteFs(fd, name);
    } finally {
      closeFile(fd);
    }
    return;
  }
  rejectMount(file, path, statFd(file));
}

function rejectMount(fd: number, path: string | undefined, stat: FileStat) {
  const name = path ?? `/proc/self/fd/${fd}`;
  const magic = fsTypeOfFd(fd, path);
  const unreliable = unreliableFs(fd, magic, stat);
  if (unreliable !== undefined) {
    throw new UnsupportedFilesystemError(
      name,
      unreliable.name,
      unreliable.reason,
    );
  }
  if (magic === OVERLAYFS_MAGIC) rejectLayers(fd, name);
}

/**
 * The row of an open file's filesystem, by statfs(2) and, where that may be
 * another host's answer passed on (9p), by mountinfo. A filesystem on a block
 * device of this host is of this host.
 */
function unreliableFs(
  fd: number,
  magic: number,
  { deviceMajor }: FileStat,
): Filesystem | undefined {
  const known = filesystemOfMagic(magic);
  if (deviceMajor !== 0) return known;
  const { fsType } = mountSource(fd) ?? {};
  // Of the two, mountinfo tells virtiofs from FUSE.
  return (fsType === undefined ? undefined : filesystemOfType(fsType)) ?? known;
}

/* Without /proc, statfs(2) has to do. statx(2) may tell another id of the
 * mount than mountinfo has. */
function mountSource(fd: number): MountSource | undefined {
  const info = readTextIfAny(`/proc/self/fdinfo/${fd}`);
  const [, mountId] = /^mnt_id:\s*(\d+)$/m.exec(info ?? "") ?? [];
  const mounts = readTextIfAny("/proc/self/mountinfo");
  return mountId === undefined || mounts === undefined
    ? undefined
    : findMountSource(mounts, Number(mountId));
}

/** Refuses an overlay of which a layer, seen from here, is elsewhere. */
function rejectLayers(overlayFd: number, path: string): void {
  const { superOptions = "" } = mountSource(overlayFd) ?? {};
  for (const layer of overlayLayers(superOptions)) {
    const fd = openFile(layer, O_PATH | O_CLOEXEC);
    if (fd < 0) continue;
    try {
      const beneath = unreliableFs(fd, fsTypeOfFd(fd, layer), statFd(fd));
      if (beneath === undefined) continue;
      throw new UnsupportedFilesystemError(
        path,
        `overlay over ${beneath.name}`,
        "the lock stays on this overlay, and whoever uses what lies beneath " +
          "it isn't excluded",
      );
    } finally {
      closeFile(fd);
    }
  }
}

/**
 * Whether a file is on a filesystem where flock(2) can't be relied on, and
 * where others may change it unseen by this kernel.
 *
 * @param fd An open descriptor.
 * @throws {SyscallError} when the descriptor isn't open.
 */
export function isRemoteFd(fd: number): boolean {
  return remoteFilesystemOfFd(fd) !== undefined;
}

/**
 * The filesystem of a file whose locks aren't this kernel's alone.
 *
 * @param fd An open descriptor; O_PATH is enough.
 * @throws {SyscallError} when the descriptor isn't open.
 */
export function remoteFilesystemOfFd(fd: number): Filesystem | undefined {
  return unreliableFs(fd, fsTypeOfFd(fd), statFd(fd));
}

let reliableMount: number | undefined;

/**
 * Like {@linkcode rejectRemoteFs} for a file just opened, asking the kernel
 * once per mount: all files of one have the same filesystem.
 *
 * @param fd A descriptor.
 * @param path Names the file in errors.
 * @param stat What the descriptor refers to.
 */
export function rejectRemoteFile(
  fd: number,
  path: string,
  stat: FileStat,
): void {
  if (stat.mountId === undefined || stat.mountId !== reliableMount) {
    rejectMount(fd, path, stat);
    reliableMount = stat.mountId;
  }
  isServer ??= servesFiles();
  if (isServer) rejectExported(fd, path);
}

/** Whether files are served from here; asked once. */
let isServer: boolean | undefined;

/** Refuses a flock beside clients that this host serves the file to. */
function rejectExported(fd: number, path: string): void {
  const real = readLink(`/proc/self/fd/${fd}`);
  const found = real === undefined ? undefined : findExport(real);
  if (found === undefined) return;
  throw new UnsupportedFilesystemError(
    path,
    `a directory that this host exports (${quotePath(found.directory)})`,
    EXPORTED[found.protocol],
    {
      advice: found.protocol === "nfs"
        ? "take a record lock (kind ofd or posix), which clients' locks " +
          "exclude, or allow remote filesystems if no client locks this file"
        : "use a path that is not shared, or a link lock, or allow remote " +
          "filesystems if no client locks this file",
    },
  );
}

/** An O_PATH descriptor of the file, or of its directory. */
function openNearest(path: string): number {
  let fd = openFile(path, O_PATH | O_CLOEXEC);
  if (fd < 0) fd = openFile(dirname(path), O_PATH | O_CLOEXEC);
  if (fd >= 0) return fd;
  throw new SyscallError("look up", { syscall: "open", errno: -fd, path });
}
