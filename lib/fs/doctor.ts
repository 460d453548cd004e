/**
 * The truth about locks at a path: which kinds can be trusted there, between
 * whom, and what endangers the lock file itself.
 *
 * @module
 */

import { parseFdinfo } from "../proc/fdinfo.ts";
import {
  findMount,
  type MountInfo,
  parseMountinfo,
} from "../proc/mountinfo.ts";
import { overlayLayers } from "../proc/mount_line.ts";
import { quotePath } from "../proc/printable.ts";
import {
  findTmpfilesRule,
  parseTmpfiles,
  type TmpfilesRule,
} from "../proc/tmpfiles.ts";
import { dirname } from "../sys/path_parts.ts";
import { type PathLike, toPath } from "../lock/lock_path.ts";
import {
  closeFile,
  type FileStat,
  O_CLOEXEC,
  O_PATH,
  openFile,
  readText,
  readTextIfAny,
  statPath,
} from "../sys/file.ts";
import { readLink, realPath } from "../sys/storage/names.ts";
import { listDirectory } from "../sys/list_directory.ts";
import { LockError } from "../sys/error.ts";
import { userName } from "../sys/process/process.ts";
import {
  type LockedDescriptor,
  scanLockedDescriptors,
} from "../inspect/descriptor_scan.ts";
import { judgeFilesystem, type TrustKind, type TrustTable } from "./verdict.ts";
import { type ExportProtocol, findExport } from "./exported.ts";
import { usableKinds } from "./usable.ts";
import { type HolderInfo, readLockParties } from "../inspect/holder.ts";

/** Something about the lock file that may surprise its user. */
export interface DoctorWarning {
  /** A stable word for scripts, such as `tmp-cleaner`. */
  code: string;
  /** One sentence for people. */
  message: string;
}

/** What the doctor found at a path. */
export interface Diagnosis {
  /** The path as given. */
  path: string;
  /** With symbolic links resolved; the directory's while it doesn't exist. */
  realPath: string;
  /** Whether something is there. */
  exists: boolean;
  /** The mount it is on. */
  mount: MountInfo;
  /** The directory that this host serves to others, and that contains it. */
  exportedBy: string | undefined;
  /** How it is served. */
  exportedAs: ExportProtocol | undefined;
  /** Why no lock can be taken on it by this user; absent where one can. */
  obstacle: string | undefined;
  /** What each kind of lock is worth. */
  trust: TrustTable;
  /** The kinds that exclude everyone who can reach the file. */
  safeKinds: TrustKind[];
  /** The kind to use. */
  recommendedKind: TrustKind | undefined;
  /** What endangers the lock file. */
  warnings: DoctorWarning[];
  /** Who holds a lock on it now. */
  holders: HolderInfo[];
}

/**
 * Examines a path that is, or is to be, a lock file. Nothing is locked,
 * created or changed.
 *
 * Permissions: `--allow-ffi`. Reads /proc, /etc/exports, /etc/exports.d,
 * /var/lib/nfs/etab and the tmpfiles.d(5) directories.
 *
 * @param path The lock file; it need not exist, but its directory must.
 * @returns What was found.
 * @throws {LockError} when neither the file nor its directory can be found.
 * @throws {SyscallError} when the path or /proc can't be read.
 *
 * @example
 * ```ts
 * import { diagnose } from "@holdfast/holdfast/doctor";
 *
 * const { safeKinds, warnings } = diagnose("/tmp/nightly-job.lock");
 * console.log(safeKinds, warnings);
 * ```
 */
export function diagnose(path: PathLike): Diagnosis {
  return diagnosePath(toPath(path));
}

function diagnosePath(path: string): Diagnosis {
  const stat = statPath(path);
  const real = resolve(path, stat !== undefined);
  const mount = mountOf(stat === undefined ? dirname(real) : real);
  const served = findExport(real);
  const trust = judgeFilesystem(mount, {
    exportedBy: served?.protocol,
    layers: layerTypes(mount),
  });
  const { obstacle, kinds } = usableKinds(real, stat, mount);
  const safeKinds = kinds.filter((kind) => isSafe(trust, kind));
  const holders = readLockParties(path).holders;
  return {
    path,
    realPath: real,
    exists: stat !== undefined,
    mount,
    exportedBy: served?.directory,
    exportedAs: served?.protocol,
    obstacle,
    trust,
    safeKinds,
    recommendedKind: safeKinds.includes("flock") ? "flock" : [
      ...safeKinds.filter((kind) => kind === "link"),
      ...safeKinds.filter((kind) => kind === "ofd"),
    ][0],
    warnings: findWarnings(real, stat, mount, holders),
    holders,
  };
}

/** Whether a kind excludes between all parties that exist. */
function isSafe(trust: TrustTable, kind: TrustKind): boolean {
  return Object.values(trust[kind]).every((entry) => entry.trust === "yes");
}

function resolve(path: string, exists: boolean): string {
  const whole = exists ? realPath(path) : undefined;
  if (whole !== undefined) return whole;
  if (path.endsWith("/")) {
    throw new LockError(
      `Cannot examine ${quotePath(path)}: its name ends with a slash, and ` +
        "there is no such directory; create it first",
    );
  }
  const directory = realPath(dirname(path));
  if (directory === undefined) {
    throw new LockError(
      `Cannot examine ${quotePath(path)}: its directory does not exist; ` +
        "create it first",
    );
  }
  const name = path.slice(path.lastIndexOf("/") + 1);
  return directory === "/" ? `/${name}` : `${directory}/${name}`;
}

function readMounts(): MountInfo[] {
  return parseMountinfo(readText("/proc/self/mountinfo"));
}

/** What the layers of an overlay are on, as far as they are seen from here. */
function layerTypes({ fsType, superOptions }: MountInfo): string[] {
  if (fsType !== "overlay") return [];
  const mounts = readMounts();
  return overlayLayers(superOptions.join(","))
    .filter((layer) => layer.startsWith("/"))
    .flatMap((layer) => findMount(mounts, layer)?.fsType ?? []);
}

/** By the mount id of an O_PATH descriptor; by the path where that fails. */
function mountOf(path: string): MountInfo {
  const mounts = readMounts();
  const fd = openFile(path, O_PATH | O_CLOEXEC);
  let found: MountInfo | undefined;
  if (fd >= 0) {
    const { mountId } = parseFdinfo(readText(`/proc/self/fdinfo/${fd}`));
    closeFile(fd);
    found = mounts.find((mount) => mount.mountId === mountId);
  }
  found ??= findMount(mounts, path);
  if (found === undefined) {
    throw new LockError(
      `Cannot find the mount of ${quotePath(path)} in /proc/self/mountinfo; ` +
        "is it in another mount namespace, or unmounted lazily?",
    );
  }
  return found;
}

/** tmpfiles.d(5): a file hides one of the same name in a later directory. */
const TMPFILES_DIRECTORIES = [
  "/etc/tmpfiles.d",
  "/run/tmpfiles.d",
  "/usr/local/lib/tmpfiles.d",
  "/usr/lib/tmpfiles.d",
];

function readTmpfilesRules(): TmpfilesRule[] {
  const rules: TmpfilesRule[] = [];
  const seen = new Set<string>();
  for (const directory of TMPFILES_DIRECTORIES) {
    const names = listDirectory(directory);
    if (typeof names === "number") continue;
    for (const name of names) {
      if (!name.endsWith(".conf") || seen.has(name)) continue;
      seen.add(name);
      rules.push(...parseTmpfiles(readTextIfAny(`${directory}/${name}`) ?? ""));
    }
  }
  return rules;
}

function findWarnings(
  path: string,
  stat: FileStat | undefined,
  mount: MountInfo,
  holders: readonly HolderInfo[],
): DoctorWarning[] {
  return [
    ...directoryWarnings(path),
    ...fileWarnings(stat, mount),
    ...mountWarnings(mount),
    ...cleanerWarnings(path),
    ...holderWarnings(path, holders),
  ];
}

function directoryWarnings(path: string): DoctorWarning[] {
  const directory = dirname(path);
  const stat = statPath(directory);
  if (stat === undefined) return [];
  const isOpen = (stat.permissions & 0o002) !== 0;
  const isSticky = (stat.permissions & 0o1000) !== 0;
  if (isOpen && !isSticky) {
    return [{
      code: "open-directory",
      message: `anyone may remove or replace files in ${quotePath(directory)}` +
        ": whoever does breaks the lock; use a directory of your own",
    }];
  }
  if (!isOpen) return [];
  const warnings: DoctorWarning[] = [{
    code: "shared-directory",
    message: `anyone may create a file of this name in ${
      quotePath(directory)
    } first, and keep it locked; use a directory of your own`,
  }];
  const isProtected = readTextIfAny("/proc/sys/fs/protected_regular")?.trim();
  if (isProtected !== undefined && isProtected !== "0") {
    warnings.push({
      code: "protected-regular",
      message: `fs.protected_regular is ${isProtected}: programs that open ` +
        "another user's file here with O_CREAT get EACCES, even as root " +
        "(holdfast tries again without)",
    });
  }
  return warnings;
}

function fileWarnings(
  stat: FileStat | undefined,
  { fsType }: MountInfo,
): DoctorWarning[] {
  if (stat === undefined) return [];
  switch (stat.type) {
    case "file":
      break;
    case "directory":
    case "block device":
      return [];
    default:
      return [{
        code: "not-a-file",
        message: `it is a ${stat.type}, which can't be a lock file`,
      }];
  }
  const warnings: DoctorWarning[] = [];
  if (stat.links > 1) {
    warnings.push({
      code: "several-names",
      message: `the file has ${stat.links} names: a lock on one is a lock ` +
        "on all",
    });
  }
  if ((stat.permissions & 0o022) === 0) {
    warnings.push({
      code: "owner-only",
      message: `only ${userName(stat.uid)} may write the file: others can ` +
        (fsType.startsWith("nfs")
          ? "take shared locks if they may read it, but no exclusive one, " +
            "not even a flock"
          : "flock it if they may read it, but take no exclusive fcntl lock"),
    });
  }
  return warnings;
}

function mountWarnings(mount: MountInfo): DoctorWarning[] {
  const warnings: DoctorWarning[] = [];
  if (mount.mountOptions.includes("ro") || mount.superOptions.includes("ro")) {
    warnings.push({
      code: "read-only",
      message: "the filesystem is read-only: no lock file can be created",
    });
  }
  if (mount.fsType === "tmpfs" || mount.fsType === "ramfs") {
    warnings.push({
      code: "volatile",
      message: `${mount.fsType} is empty after a reboot: the file is gone ` +
        "then, and what is kept in it",
    });
  }
  if (mount.fsType === "overlay") {
    warnings.push({
      code: "overlay",
      message: "the file is on an overlay: another container with an " +
        "overlay of its own has another file at this path, and isn't " +
        "excluded; share a volume or a bind mount instead",
    });
  }
  return warnings;
}

function cleanerWarnings(path: string): DoctorWarning[] {
  const rule = findTmpfilesRule(readTmpfilesRules(), path);
  if (rule === undefined) return [];
  const when = rule.age === undefined
    ? "at boot"
    : `when nobody has used it for ${rule.age}`;
  return [{
    code: "tmp-cleaner",
    message: `systemd-tmpfiles removes it ${when} (rule "${rule.type} ` +
      `${rule.path}" of tmpfiles.d)`,
  }];
}

/** fcntl's two kinds see each other; flock sees neither. */
function kindFamily(type: string): "flock" | "fcntl" | undefined {
  if (type === "FLOCK") return "flock";
  return type === "POSIX" || type === "OFDLCK" ? "fcntl" : undefined;
}

function holderWarnings(
  path: string,
  holders: readonly HolderInfo[],
): DoctorWarning[] {
  const warnings: DoctorWarning[] = [];
  const families = new Set(holders.map(({ type }) => kindFamily(type)));
  if (families.has("flock") && families.has("fcntl")) {
    const names = holders.map(({ pid, type }) => `${type} pid=${pid ?? "?"}`);
    warnings.push({
      code: "mixed-kinds",
      message: "programs hold locks of kinds that don't see each other on " +
        `this file: ${names.join(", ")}`,
    });
  }
  for (const { pid, fd } of findRemovedButHeld(path)) {
    warnings.push({
      code: "removed-while-held",
      message: `pid ${pid} holds a lock on a file of this name that has been ` +
        `removed or replaced (its descriptor ${fd}): it excludes nobody`,
    });
  }
  return warnings;
}

/** The kernel marks a name that its file has lost; see proc_pid_fd(5). */
function findRemovedButHeld(path: string): LockedDescriptor[] {
  return scanLockedDescriptors().descriptors.filter(({ pid, fd }) =>
    readLink(`/proc/${pid}/fd/${fd}`) === `${path} (deleted)`
  );
}
