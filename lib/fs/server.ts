import { probeLockFile } from "../lock/lock_file.ts";
import { type BlockingLock, fOfdGetlk } from "../lock/record/record_lock.ts";
import { closeFile, O_CLOEXEC, O_PATH, openFile } from "../sys/file.ts";
import { isRemoteFd } from "./guard.ts";

/**
 * A lock on a file that the server of its filesystem knows of: one of another
 * host isn't in this one's /proc/locks. On NFS that finds flocks too.
 *
 * Permissions: `--allow-ffi`. A file on a local filesystem isn't opened. See
 * F_OFD_GETLK(2const).
 *
 * @param path The file; it is not created.
 * @returns Some lock on it, of this host or another; `undefined` when there is
 * none, or the filesystem is local.
 * @throws {SyscallError} when the file can't be opened or the server asked.
 */
export function askServerForLock(path: string): BlockingLock | undefined {
  const fd = openFile(path, O_PATH | O_CLOEXEC);
  if (fd < 0) return undefined;
  try {
    if (!isRemoteFd(fd)) return undefined;
  } finally {
    closeFile(fd);
  }
  const file = probeLockFile(path);
  if (file === undefined) return undefined;
  try {
    return fOfdGetlk(file.fd, { type: "write" });
  } finally {
    closeFile(file.fd);
  }
}
