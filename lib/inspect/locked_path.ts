/**
 * The name of a locked file, as far as it can be known.
 *
 * @module
 */

import type { MountInfo } from "../proc/mountinfo.ts";
import { type FileStat, isSameFile } from "../sys/file.ts";
import { readLink, statIfAny } from "../sys/storage/names.ts";
import type { DescriptorRef } from "./lock_join.ts";

/**
 * What the path of a locked file is worth. `here`: opening it here gives this
 * file. `deleted`: the name was removed, and may be another file's by now.
 * `other-namespace`: it is so named in the holder's mount namespace only.
 * `unreachable`: something is mounted over it, it is unmounted, it never had a
 * place among the directories, or its name is not UTF-8. `unknown`: there is no path; no
 * descriptor that carries the lock may be looked into.
 */
export type PathStatus =
  | "here"
  | "deleted"
  | "other-namespace"
  | "unreachable"
  | "unknown";

/** A file with locks. */
export interface LockedFile {
  /** Major number of its superblock's device; `undefined` when not told. */
  major: number | undefined;
  /** Minor number of its superblock's device; `undefined` when not told. */
  minor: number | undefined;
  /** Inode number inside the kernel. */
  inode: bigint;
  /** Its path; untrusted. */
  path: string | undefined;
  /** What the path is worth. */
  pathStatus: PathStatus;
  /** Its size in bytes. */
  sizeBytes: bigint | undefined;
  /** The type of its filesystem, when that is mounted here. */
  fsType: string | undefined;
  /** Where its filesystem is mounted here. */
  mountPoint: string | undefined;
}

/** What a descriptor shows of its file. */
export type ShownFile = Pick<LockedFile, "path" | "pathStatus" | "sizeBytes">;

/** What a lock's line says of its file. */
type FileKey = Pick<LockedFile, "major" | "minor" | "inode">;

const DELETED = " (deleted)";

/** Nothing is known. */
export const UNNAMED_FILE: ShownFile = {
  path: undefined,
  pathStatus: "unknown",
  sizeBytes: undefined,
};

/** Finds the names of files through descriptors, one after another. */
export class FileNamer {
  readonly #ownNamespace = readLink("/proc/self/ns/mnt");
  readonly #namespaces = new Map<number, string | undefined>();

  /**
   * The name of the file behind a descriptor, which a lock names by key.
   *
   * The kernel adds ` (deleted)` to a name that was removed, which a file may
   * also really be called: the name counts if it leads to the file.
   */
  nameOf({ pid, fd }: DescriptorRef, key: FileKey): ShownFile {
    const link = `/proc/${pid}/fd/${fd}`;
    const target = readLink(link);
    if (target === undefined) return UNNAMED_FILE;
    const named = target.startsWith("/") ? statIfAny(target) : undefined;
    // On most filesystems stat(2) tells what the lock's line tells; on btrfs
    // and overlayfs only the descriptor's own stat can be compared.
    if (named !== undefined && isKeyOf(named, key)) {
      return { path: target, pathStatus: "here", sizeBytes: named.size };
    }
    const file = statIfAny(link);
    const sizeBytes = file?.size;
    if (!target.startsWith("/")) {
      return { path: target, pathStatus: "unreachable", sizeBytes };
    }
    if (named && file && isSameFile(named, file)) {
      return { path: target, pathStatus: "here", sizeBytes };
    }
    const isElsewhere = this.#isElsewhere(pid);
    if (target.endsWith(DELETED)) {
      const there = isElsewhere
        ? statIfAny(`/proc/${pid}/root${target}`)
        : undefined;
      const isReallyNamedSo = there && file && isSameFile(there, file);
      if (!isReallyNamedSo) {
        const path = target.slice(0, -DELETED.length);
        return { path, pathStatus: "deleted", sizeBytes };
      }
    }
    return {
      path: target,
      pathStatus: isElsewhere ? "other-namespace" : "unreachable",
      sizeBytes,
    };
  }

  #isElsewhere(pid: number): boolean {
    if (!this.#namespaces.has(pid)) {
      this.#namespaces.set(pid, readLink(`/proc/${pid}/ns/mnt`));
    }
    const namespace = this.#namespaces.get(pid);
    return namespace !== undefined && namespace !== this.#ownNamespace;
  }
}

function isKeyOf(stat: FileStat, key: FileKey): boolean {
  return stat.inode === key.inode && stat.deviceMajor === key.major &&
    stat.deviceMinor === key.minor;
}

/** The mounts by device, the first of each: where most would look. */
export function mountsByDevice(
  mounts: readonly MountInfo[],
): Map<string, MountInfo> {
  const found = new Map<string, MountInfo>();
  for (const mount of mounts) {
    const key = `${mount.major}:${mount.minor}`;
    if (!found.has(key)) found.set(key, mount);
  }
  return found;
}
