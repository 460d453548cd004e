/**
 * Filesystems on which flock(2) can't be relied on.
 *
 * @module
 */

import { callLibc } from "../sys/call.ts";
import { type PathLike, toPath } from "../lock/lock_path.ts";
import { UnsupportedFilesystemError } from "../lock/unsupported_filesystem_error.ts";
import { SyscallError } from "../sys/error.ts";
import {
  closeFile,
  type FileStat,
  O_CLOEXEC,
  O_PATH,
  openFile,
} from "../sys/file.ts";
import { dirname } from "../sys/path_parts.ts";
import { libc } from "../sys/libc.ts";

export { UnsupportedFilesystemError } from "../lock/unsupported_filesystem_error.ts";

/** Why a filesystem is refused. */
interface UnreliableFs {
  readonly name: string;
  readonly reason: string;
}

const NFS_REASON = "its client turns flock into a byte-range lock on the " +
  "server or, mounted with nolock or local_lock, keeps it to this host";
const SMB_REASON = "flock becomes a mandatory lock of the server, " +
  "or none at all when mounted with nobrl";
const CLUSTER_REASON = "flock reaches other hosts only when mounted for it " +
  "(not with localflocks or without its lock service)";
const AFS_REASON = "flock locks whole files on the server under rules of " +
  "its own, and byte-range locks are local to this host";
const FUSE_REASON = "the program behind it decides what flock means, " +
  "and many keep no locks for other clients";

/* f_type of statfs(2): include/uapi/linux/magic.h unless said otherwise. */
const UNRELIABLE: ReadonlyMap<number, UnreliableFs> = new Map([
  [0x6969, { name: "nfs", reason: NFS_REASON }],
  [0xff534d42, { name: "cifs", reason: SMB_REASON }],
  [0xfe534d42, { name: "smb2", reason: SMB_REASON }],
  [0x517b, { name: "smb", reason: SMB_REASON }],
  // fs/ceph/super.h
  [0x00c36400, {
    name: "ceph",
    reason: "a lock is held by a session that the metadata server may end " +
      "while its holder still runs",
  }],
  [0x5346414f, { name: "afs", reason: AFS_REASON }],
  [0x6b414653, { name: "kafs", reason: AFS_REASON }],
  [0x65735546, { name: "fuse", reason: FUSE_REASON }],
  // virtiofs answers statfs with FUSE's number.
  [0x01021997, {
    name: "9p",
    reason: "flock stays inside this client, or becomes a byte-range lock " +
      "of the server when mounted with cache=none",
  }],
  // lustre/include/uapi/linux/lustre/lustre_user.h
  [0x0bd00bd0, {
    name: "lustre",
    reason: "without the flock mount option there is none, and with " +
      "localflock it is local to this host",
  }],
  [0x01161970, { name: "gfs2", reason: CLUSTER_REASON }],
  [0x7461636f, { name: "ocfs2", reason: CLUSTER_REASON }],
  // fs/coda
  [0x73757245, { name: "coda", reason: FUSE_REASON }],
  // Out of the tree: IBM Storage Scale, BeeGFS, PanFS, vboxsf, VMware hgfs.
  [0x47504653, { name: "gpfs", reason: CLUSTER_REASON }],
  [0x19830326, { name: "beegfs", reason: CLUSTER_REASON }],
  [0xaad7aaea, { name: "panfs", reason: CLUSTER_REASON }],
  [0x786f4256, {
    name: "vboxsf",
    reason: "flock stays inside this guest",
  }],
  [0xbacbacbc, {
    name: "vmhgfs",
    reason: "flock stays inside this guest",
  }],
]);

/* struct statfs is larger than its first member, f_type, an unsigned long of
 * which the lower half counts. One buffer serves all calls. */
const statfsBuffer = new Uint8Array(256);
const statfsView = new DataView(statfsBuffer.buffer);

/**
 * The kernel's number for the filesystem of an open file, f_type of statfs(2).
 *
 * @throws {SyscallError} when the descriptor isn't open.
 */
export function fsTypeOfFd(fd: number, path?: string): number {
  const result = callLibc(() => libc.fstatfs(fd, statfsBuffer));
  if (result < 0) {
    throw new SyscallError("find the filesystem of", {
      syscall: "fstatfs",
      errno: -result,
      path: path ?? `/proc/self/fd/${fd}`,
    });
  }
  return statfsView.getUint32(0, true);
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
  const unreliable = UNRELIABLE.get(fsTypeOfFd(file, path));
  if (unreliable === undefined) return;
  throw new UnsupportedFilesystemError(
    path ?? `/proc/self/fd/${file}`,
    unreliable.name,
    unreliable.reason,
  );
}

/**
 * Whether a file is on a filesystem where flock(2) can't be relied on, and
 * where others may change it unseen by this kernel.
 *
 * @param fd An open descriptor.
 * @throws {SyscallError} when the descriptor isn't open.
 */
export function isRemoteFd(fd: number): boolean {
  return UNRELIABLE.has(fsTypeOfFd(fd));
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
  if (stat.mountId !== undefined && stat.mountId === reliableMount) return;
  rejectRemoteFs(fd, path);
  reliableMount = stat.mountId;
}

/** An O_PATH descriptor of the file, or of its directory. */
function openNearest(path: string): number {
  let fd = openFile(path, O_PATH | O_CLOEXEC);
  if (fd < 0) fd = openFile(dirname(path), O_PATH | O_CLOEXEC);
  if (fd >= 0) return fd;
  throw new SyscallError("look up", { syscall: "open", errno: -fd, path });
}
