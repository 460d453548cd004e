import { checkDescriptor } from "../lock/check.ts";
import { type PathLike, toPath } from "../lock/lock_path.ts";
import { parseMountinfo } from "../proc/mountinfo.ts";
import { parseFdinfo } from "../proc/fdinfo.ts";
import { ENOENT, ENOTDIR } from "../sys/errno.ts";
import { SyscallError } from "../sys/error.ts";
import {
  closeFile,
  O_CLOEXEC,
  O_PATH,
  openFile,
  readText,
  statFd,
} from "../sys/file.ts";

/**
 * The key by which /proc/locks and /proc/PID/fdinfo name a locked file: the
 * device of its superblock and its inode number inside the kernel.
 *
 * stat(2) is of no use here: on btrfs and overlayfs its st_dev is another
 * number.
 */
export interface Needle {
  /** Major device number of the superblock. */
  major: number;
  /** Minor device number of the superblock. */
  minor: number;
  /** Inode number. */
  inode: bigint;
}

/**
 * A needle as the kernel prints it: `08:01:131090`, device in hexadecimal.
 *
 * @example
 * ```ts
 * import { formatNeedle } from "@holdfast/holdfast/inspect";
 *
 * console.log(formatNeedle({ major: 8, minor: 1, inode: 131090n }));
 * ```
 */
export function formatNeedle(needle: Needle): string {
  const { major, minor, inode } = needle;
  return `${hex(major)}:${hex(minor)}:${inode}`;
}

function hex(value: number): string {
  return value.toString(16).padStart(2, "0");
}

/**
 * The needle of an open file: the mount id and inode from
 * /proc/self/fdinfo/FD, and the mount's device from /proc/self/mountinfo.
 *
 * Permissions: `--allow-ffi`. See proc_pid_fdinfo(5), proc_pid_mountinfo(5).
 *
 * @param fd An open descriptor.
 * @returns The key under which /proc/locks names the file.
 * @throws {SyscallError} when the descriptor isn't open or /proc isn't mounted.
 */
export function needleFromFd(fd: number): Needle {
  checkDescriptor(fd);
  const info = parseFdinfo(readText(`/proc/self/fdinfo/${fd}`));
  const mount = parseMountinfo(readText("/proc/self/mountinfo"))
    .find(({ mountId }) => mountId === info.mountId);
  // Linux before 5.14 has no "ino:" line.
  const inode = info.inode ?? statFd(fd).inode;
  if (mount !== undefined) {
    return { major: mount.major, minor: mount.minor, inode };
  }
  // A lazily unmounted file, a memfd, or a descriptor from another mount
  // namespace: its own lock lines, if any, still name the device.
  const own = info.locks.find((lock) => lock.inode === inode)?.device;
  if (own !== undefined) return { ...own, inode };
  const stat = statFd(fd);
  return { major: stat.deviceMajor, minor: stat.deviceMinor, inode };
}

/**
 * The needle of a file that need not be open. It is neither created nor
 * opened for access: FIFOs and devices are safe, and so is a file that may not
 * be read.
 *
 * Permissions: `--allow-ffi`. See open(2) about O_PATH.
 *
 * @param path The file; a symbolic link is followed.
 * @returns The key, or `undefined` when there is no such file.
 * @throws {SyscallError} when the path can't be looked up.
 *
 * @example
 * ```ts
 * import { formatNeedle } from "@holdfast/holdfast/inspect";
 * import { needleFromPath } from "@holdfast/holdfast";
 *
 * const needle = needleFromPath("/etc/passwd");
 * if (needle) console.log(formatNeedle(needle));
 * ```
 */
export function needleFromPath(path: PathLike): Needle | undefined {
  const name = toPath(path);
  const fd = openFile(name, O_PATH | O_CLOEXEC);
  if (fd === -ENOENT || fd === -ENOTDIR) return undefined;
  if (fd < 0) {
    throw new SyscallError("look up", {
      syscall: "open",
      errno: -fd,
      path: name,
    });
  }
  try {
    return needleFromFd(fd);
  } finally {
    closeFile(fd);
  }
}
