/**
 * A filesystem that is mounted nowhere: only a descriptor leads into it.
 *
 * @module
 */

import { callLibc, cString } from "./call.ts";
import { closeFile } from "./file.ts";
import { libc } from "./libc.ts";

/* Since they came with Linux 5.2 the numbers are the same everywhere. */
const SYS_FSOPEN = 430n;
const SYS_FSCONFIG = 431n;
const SYS_FSMOUNT = 432n;
const FSOPEN_CLOEXEC = 1n;
const FSCONFIG_CMD_CREATE = 6n;
const FSMOUNT_CLOEXEC = 1n;
const NO_ATTRIBUTES = 0n;

/**
 * Mounts a filesystem without options and without a place: nobody else sees
 * it, and it is gone with its descriptor, however the process ends.
 *
 * Permissions: `--allow-ffi`; CAP_SYS_ADMIN in the initial user namespace. See
 * fsopen(2), fsmount(2).
 *
 * @param type The type of the filesystem, such as `tracefs`.
 * @returns A descriptor of its root, or minus the error number: `-ENOSYS`
 * before Linux 5.2, `-ENODEV` when the kernel has no such filesystem.
 */
export function mountDetached(type: string): number {
  const name = cString(type);
  const context = callLibc(() =>
    libc.syscall_fsopen(SYS_FSOPEN, name, FSOPEN_CLOEXEC)
  );
  if (context < 0) return context;
  const fd = BigInt(context);
  try {
    // It takes neither key nor value.
    const created = callLibc(() =>
      libc.syscall_numbers(SYS_FSCONFIG, fd, FSCONFIG_CMD_CREATE, 0n, 0n, 0n)
    );
    if (created < 0) return created;
    return callLibc(() =>
      libc.syscall_numbers(
        SYS_FSMOUNT,
        fd,
        FSMOUNT_CLOEXEC,
        NO_ATTRIBUTES,
        0n,
        0n,
      )
    );
  } finally {
    closeFile(context);
  }
}
