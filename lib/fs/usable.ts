/**
 * Whether this user can lock a file at a path: tried, without leaving
 * anything.
 *
 * @module
 */

import type { MountInfo } from "../proc/mountinfo.ts";
import { quotePath } from "../proc/printable.ts";
import { errnoName } from "../sys/errno.ts";
import {
  closeFile,
  type FileStat,
  O_CLOEXEC,
  O_NOCTTY,
  O_NONBLOCK,
  O_RDONLY,
  O_WRONLY,
  openFile,
} from "../sys/file.ts";
import { dirname } from "../sys/path_parts.ts";
import { tryCreateIn } from "../sys/storage/try_create.ts";
import { TRUST_KINDS, type TrustKind } from "./verdict.ts";

/** What a user can do at a path. */
export interface Usable {
  /** The kinds of lock that can be taken there, exclusively. */
  kinds: readonly TrustKind[];
  /** Why not all of them can, as a sentence without a full stop. */
  obstacle: string | undefined;
}

/**
 * Tries what a lock at a path begins with: opening the file, or making one in
 * its directory, which leaves no name. See O_TMPFILE in open(2).
 *
 * @param path Absolute, without symbolic links.
 * @param stat What is there, if anything is.
 */
export function usableKinds(
  path: string,
  stat: FileStat | undefined,
  mount: Pick<MountInfo, "fsType">,
): Usable {
  if (stat === undefined) {
    const errno = tryCreateIn(dirname(path));
    return errno === 0 ? { kinds: TRUST_KINDS, obstacle: undefined } : {
      kinds: [],
      obstacle:
        `this user can create no file in ${quotePath(dirname(path))}: ` +
        errnoName(errno),
    };
  }
  const isDirectory = stat.type === "directory";
  if (stat.type !== "file" && !isDirectory) {
    return { kinds: [], obstacle: `it is a ${stat.type}` };
  }
  const reading = cannotOpen(path, O_RDONLY);
  const writing = isDirectory ? 0 : cannotOpen(path, O_WRONLY);
  // On NFS an exclusive flock is a record lock, and needs writing as that does.
  const flocks = mount.fsType.startsWith("nfs")
    ? writing === 0
    : reading === 0 || writing === 0;
  const linking = tryCreateIn(dirname(path));
  const kinds = TRUST_KINDS.filter((kind) =>
    kind === "flock"
      ? flocks
      : kind === "link"
      ? linking === 0
      : writing === 0 && !isDirectory
  );
  if (!flocks) {
    const errno = mount.fsType.startsWith("nfs") ? writing : reading;
    return {
      kinds: kinds.filter((kind) => kind === "link"),
      obstacle: `this user can't open the file: ${errnoName(errno)}`,
    };
  }
  return { kinds, obstacle: undefined };
}

/** 0, or the error number. */
function cannotOpen(path: string, access: number): number {
  const flags = access | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
  const fd = openFile(path, flags);
  if (fd < 0) return -fd;
  closeFile(fd);
  return 0;
}
