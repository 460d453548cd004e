/**
 * The way to the kernel's tracing files.
 *
 * @module
 */

import { parseMountinfo } from "../proc/mountinfo.ts";
import { mountDetached } from "../sys/detached_mount.ts";
import { EACCES, ENODEV, ENOSYS, EPERM, errnoName } from "../sys/errno.ts";
import { LockError } from "../sys/error.ts";
import { closeFile, readText, statPath } from "../sys/file.ts";
import { currentUid } from "../sys/process/environment.ts";

/**
 * The kernel's trace of locks isn't available here: this user isn't root, the
 * kernel has none, or is locked down.
 */
export class TraceUnavailableError extends LockError {
  /** The name of the class. */
  override name = "TraceUnavailableError";
  /** Why, a clause without a full stop. */
  readonly reason: string;

  /**
   * Makes the error and its message.
   *
   * @param reason Why, a clause.
   * @param advice What to do about it, a clause.
   */
  constructor(reason: string, advice: string) {
    super(`Cannot trace locks: ${reason}; ${advice}`);
    this.reason = reason;
  }
}

/** The root of tracefs, for as long as it is needed. */
export interface Tracefs extends Disposable {
  /** The directory, without a slash at its end. */
  readonly root: string;
}

/** The inode of the first pid namespace; see include/linux/proc_ns.h. */
const INITIAL_PID_NAMESPACE = 0xefff_fffcn;

/**
 * Finds tracefs where it is mounted, or else mounts it where nobody sees it.
 *
 * It is never mounted with options: they would change every mount of it, since
 * all are one and the same filesystem.
 *
 * Permissions: `--allow-ffi`; root. See Documentation/trace/ftrace.rst.
 *
 * @returns The way to it, which must be disposed of.
 * @throws {TraceUnavailableError} when there is none, and in another pid
 * namespace than the host's.
 */
export function openTracefs(): Tracefs {
  if (currentUid() !== 0) {
    throw new TraceUnavailableError("it takes root", "run it as root");
  }
  const namespace = statPath("/proc/self/ns/pid");
  if (namespace !== undefined && namespace.inode !== INITIAL_PID_NAMESPACE) {
    throw new TraceUnavailableError(
      "the kernel tells process ids of the host, which mean others in this " +
        "pid namespace",
      "run it on the host, or in a container with the host's pid namespace",
    );
  }
  const mounted = findMounted();
  if (mounted !== undefined) return { root: mounted, [Symbol.dispose]() {} };
  const fd = mountDetached("tracefs");
  if (fd < 0) throw explain(-fd);
  const root = `/proc/self/fd/${fd}`;
  if (statPath(`${root}/instances`) === undefined) {
    closeFile(fd);
    throw new TraceUnavailableError(
      "/proc isn't mounted here, or the kernel has no trace instances",
      "mount tracefs on /sys/kernel/tracing",
    );
  }
  return { root, [Symbol.dispose]: () => closeFile(fd) };
}

/** Where tracefs is mounted with its own root and may be written to. */
function findMounted(): string | undefined {
  const mounts = parseMountinfo(readText("/proc/self/mountinfo"), {
    onError: () => {},
  });
  for (const mount of mounts) {
    if (mount.fsType !== "tracefs" || mount.root !== "/") continue;
    if (mount.mountOptions.includes("ro")) continue;
    // Another filesystem may be mounted over it.
    const isThere = statPath(`${mount.mountPoint}/instances`) !== undefined;
    if (isThere) return mount.mountPoint;
  }
  return undefined;
}

function explain(errno: number): TraceUnavailableError {
  switch (errno) {
    case EPERM:
    case EACCES:
      return new TraceUnavailableError(
        "this container may not mount tracefs, or the kernel is locked down",
        "run it on the host, or give the container CAP_SYS_ADMIN",
      );
    case ENODEV:
      return new TraceUnavailableError(
        "this kernel is built without tracing (CONFIG_FTRACE)",
        "boot a kernel that has it",
      );
    case ENOSYS:
      return new TraceUnavailableError(
        "tracefs isn't mounted, and this kernel (before 5.2) can't mount it " +
          "out of sight",
        "mount -t tracefs tracefs /sys/kernel/tracing",
      );
    default:
      return new TraceUnavailableError(
        `mounting tracefs gave ${errnoName(errno)} (${errno})`,
        "mount it on /sys/kernel/tracing and try again",
      );
  }
}
