/**
 * Filesystems on which record locks can't be relied on, or are no different
 * from flock.
 *
 * @module
 */

import type { RecordLockKind } from "../lock/record/record_lock.ts";
import { parseFdinfo } from "../proc/fdinfo.ts";
import { type MountInfo, parseMountinfo } from "../proc/mountinfo.ts";
import { readText } from "../sys/file.ts";
import {
  isRemoteFd,
  rejectRemoteFs,
  remoteFilesystemOfFd,
  UnsupportedFilesystemError,
} from "./guard.ts";
import { judgeFilesystem, localLocksOfNfs, optionsOf } from "./verdict.ts";

/**
 * Refuses a file on a filesystem where record locks aren't known to exclude
 * everybody who has it mounted. NFSv4 passes, for its server keeps the locks.
 *
 * Permissions: `--allow-ffi`.
 *
 * @param fd An open descriptor.
 * @param path Names the file in errors.
 * @param kind The kind of lock.
 * @throws {UnsupportedFilesystemError} with the reason.
 */
export function rejectUnsafeRecordLocks(
  fd: number,
  path: string,
  kind: RecordLockKind,
): void {
  if (!isRemoteFd(fd)) return;
  const mount = mountOfFd(fd);
  if (mount === undefined) return rejectRemoteFs(fd, path);
  const unsafe = Object.values(judgeFilesystem(mount)[kind])
    .find(({ trust, whileReachable }) => trust !== "yes" && !whileReachable);
  if (unsafe === undefined) return;
  throw new UnsupportedFilesystemError(path, mount.fsType, unsafe.reason, {
    lock: kind === "ofd" ? "OFD locks" : "POSIX locks",
  });
}

/** The mount of an open file, by its id; `undefined` once it is unmounted. */
export function mountOfFd(fd: number): MountInfo | undefined {
  const { mountId } = parseFdinfo(readText(`/proc/self/fdinfo/${fd}`));
  return parseMountinfo(readText("/proc/self/mountinfo"))
    .find((mount) => mount.mountId === mountId);
}

/**
 * Refuses flock and fcntl together on a remote filesystem.
 *
 * Clients of NFS, SMB and 9p turn a flock into a lock of the whole range on
 * the server, where the two are the same lock and stand in each other's way:
 * there it is refused even with `allowRemote`.
 *
 * @param fd An open descriptor.
 * @param path Names the file in errors.
 * @param allowRemote Whether other remote filesystems are all right.
 * @throws {UnsupportedFilesystemError} with the reason.
 */
export function rejectUnsafeBothLocks(
  fd: number,
  path: string,
  allowRemote: boolean,
): void {
  if (isFlockRecordLock(fd)) {
    throw new UnsupportedFilesystemError(
      path,
      remoteFilesystemOfFd(fd)!.name,
      "the client turns flock into a record lock on the server, so that the " +
        "two are the same lock and exclude each other",
      {
        lock: "flock and fcntl together",
        advice: "take the record lock alone (kind ofd or posix): " +
          "it also excludes those who flock the file there",
      },
    );
  }
  if (!allowRemote) rejectRemoteFs(fd, path);
}

/**
 * Whether a flock and a record lock of a file stand in each other's way, even
 * if one process takes both: where both reach the server as one kind.
 *
 * @param fd An open descriptor.
 */
export function isFlockRecordLock(fd: number): boolean {
  if (remoteFilesystemOfFd(fd)?.hasOneKind !== true) return false;
  const mount = mountOfFd(fd);
  if (mount === undefined) return true;
  if (mount.fsType.startsWith("nfs")) {
    const { flock, record } = localLocksOfNfs(mount);
    return !flock && !record;
  }
  return !optionsOf(mount).has("nobrl");
}
