/**
 * Parser of /proc/PID/mountinfo, see proc_pid_mountinfo(5).
 *
 * Text in, values out: nothing is read and no permission is needed. The reader
 * decodes the file as UTF-8, with U+FFFD for bytes that aren't.
 *
 * ```ts
 * import { parseMountinfo } from "@holdfast/holdfast/mountinfo";
 *
 * const [mount] = parseMountinfo("36 1 0:9 / /n rw - nfs4 srv:/ rw,vers=4.2\n");
 * console.log(mount?.fsType, mount?.mountPoint); // nfs4 /n
 * ```
 *
 * @module
 */
import { ProcParseError, type ProcParseOptions, reportLine } from "./error.ts";

export {
  ProcParseError,
  type ProcParseErrorInit,
  type ProcParseOptions,
} from "./error.ts";
import { decodeOctal } from "./octal.ts";
import { isWithin } from "./path_text.ts";

/** One mount, a line of mountinfo; paths and options are decoded. */
export interface MountInfo {
  /** Unique number of the mount while it is mounted; fdinfo's `mnt_id`. */
  mountId: number;
  /** The mount it is mounted on; for the top of the tree one not listed. */
  parentId: number;
  /** Major device number of the superblock. */
  major: number;
  /** Minor device number of the superblock. */
  minor: number;
  /**
   * The path inside the filesystem that is the mount's root: `/subvolume`,
   * the source of a bind mount, `net:[4026531992]`, or ending in `//deleted`.
   */
  root: string;
  /** Where it is mounted, relative to the process's root directory. */
  mountPoint: string;
  /** Options of the mount, such as `rw` and `noatime`. */
  mountOptions: string[];
  /** Optional fields, such as `shared:1`, `master:2` and `unbindable`. */
  optionalFields: string[];
  /** Filesystem type, with its subtype: `ext4`, `fuse.sshfs`. */
  fsType: string;
  /** What is mounted, as the filesystem calls it; may be empty. */
  source: string;
  /**
   * Options of the superblock, such as `rw` and `upperdir=/a,b`: split at
   * commas that are not escaped or within quotes, then decoded.
   */
  superOptions: string[];
  /** The same options as one text exactly as the kernel wrote it. */
  superOptionsText: string;
}

const SOURCE = "/proc/self/mountinfo";

/**
 * Parses the text of /proc/PID/mountinfo.
 *
 * Nothing is lost: optional fields of any kind, an empty source, and options
 * with blanks survive. Needs no permission. See proc_pid_mountinfo(5).
 *
 * @param text The text of the file.
 * @param options `source` for messages; `onError` to go on after a bad line.
 * @returns The mounts in the order of the text.
 * @throws {ProcParseError} For the first unreadable line, without `onError`.
 *
 * @example
 * ```ts
 * import { parseMountinfo } from "@holdfast/holdfast/mountinfo";
 * const text = "36 35 98:0 / /my\\040disk rw shared:1 - ext4 /dev/sda1 rw\n";
 * console.log(parseMountinfo(text)[0].mountPoint); // /my disk
 * ```
 */
export function parseMountinfo(
  text: string,
  options: ProcParseOptions = {},
): MountInfo[] {
  const mounts: MountInfo[] = [];
  let number = 0;
  for (const rawLine of text.split("\n")) {
    number++;
    const line = rawLine.endsWith("\r") ? rawLine.slice(0, -1) : rawLine;
    if (/^[ \t\r]*$/.test(line)) continue;
    const mount = parseLine(line);
    if (typeof mount === "string") {
      const source = options.source ?? SOURCE;
      const init = { source, line: number, text: rawLine };
      reportLine(new ProcParseError(mount, init), options);
    } else {
      mounts.push(mount);
    }
  }
  return mounts;
}

/**
 * The mount, or the words for what was expected.
 *
 * ```text
 * 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
 * (1)(2)(3)  (4)   (5)   (6)        (7)     (8)(9)  (10)      (11)
 * ```
 *
 * 1. mount; 2. parent; 3. major:minor, decimal; 4. root; 5. mount point;
 * 6. mount options; 7. any number of optional fields; 8. separator;
 * 9. filesystem type; 10. source; 11. superblock options. Fields are parted by
 * exactly one space: a source given as "" is an empty field.
 */
function parseLine(line: string): MountInfo | string {
  const fields = line.split(" ");
  const mountId = parseDecimal(fields[0]);
  if (mountId === undefined) return "a mount id as the first field";
  const parentId = parseDecimal(fields[1]);
  if (parentId === undefined) return "a parent mount id as the second field";
  const [majorText, minorText, more] = (fields[2] ?? "").split(":");
  const major = parseDecimal(majorText);
  const minor = parseDecimal(minorText);
  if (major === undefined || minor === undefined || more !== undefined) {
    return "a device major:minor as the third field";
  }
  const [, , , root, mountPoint, mountOptions] = fields;
  if (!root) return "a root as the fourth field";
  if (!mountPoint) return "a mount point as the fifth field";
  if (!mountOptions) return "mount options as the sixth field";
  const separator = fields.indexOf("-", 6);
  if (separator < 0) return 'a separator "-"';
  const [fsType, source, ...superFields] = fields.slice(separator + 1);
  if (!fsType) return 'a filesystem type after "-"';
  if (source === undefined || superFields.length === 0) {
    return "a source and superblock options after the filesystem type";
  }
  // Not every filesystem escapes the blanks in its options.
  const superOptionsText = superFields.join(" ");
  return {
    mountId,
    parentId,
    major,
    minor,
    root: decodeOctal(root),
    mountPoint: decodeOctal(mountPoint),
    mountOptions: splitOptions(mountOptions),
    optionalFields: fields.slice(6, separator),
    fsType: decodeOctal(fsType),
    source: decodeOctal(source),
    superOptions: splitOptions(superOptionsText),
    superOptionsText,
  };
}

function parseDecimal(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text)
    ? Number(text)
    : undefined;
}

/**
 * Splits at commas, then decodes: the kernel escapes a comma within a value
 * (`seq_show_option`), except in security labels, which it quotes
 * (`context="u:r:t:s0:c1,c2"`, security/selinux/hooks.c).
 */
function splitOptions(text: string): string[] {
  const options: string[] = [];
  const parts = text.split(",");
  for (let i = 0; i < parts.length; i++) {
    let option = parts[i]!;
    if (/="[^"]*$/.test(option)) {
      const close = parts.findIndex((part, at) =>
        at > i && /^[^"]*"$/.test(part)
      );
      if (close > i) {
        option = parts.slice(i, close + 1).join(",");
        i = close;
      }
    }
    options.push(decodeOctal(option));
  }
  return options;
}

/**
 * Finds the mount that a path is on.
 *
 * The longest mount point wins that is the path or a whole-component prefix of
 * it; of mounts on one mount point the last, which covers the others. A mount
 * that became unreachable because a later one covers a directory above it is
 * passed over. Needs no permission.
 *
 * With an open descriptor, the `mnt_id` of its fdinfo is surer.
 *
 * @param mounts The mounts of the process that resolves the path.
 * @param absolutePath An absolute path without `..` or symbolic links.
 * @returns The mount; undefined for a relative path, or if none fits.
 *
 * @example
 * ```ts
 * import { findMount, parseMountinfo } from "@holdfast/holdfast/mountinfo";
 * const mounts = parseMountinfo(
 *   "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:9 / /tmp rw - tmpfs tmpfs rw\n",
 * );
 * console.log(findMount(mounts, "/tmpfile")?.fsType); // ext4
 * ```
 */
export function findMount(
  mounts: readonly MountInfo[],
  absolutePath: string,
): MountInfo | undefined {
  if (!absolutePath.startsWith("/")) return undefined;
  const covering = mounts.filter((mount) =>
    isWithin(absolutePath, mount.mountPoint)
  );
  let found: MountInfo | undefined;
  for (const mount of covering) {
    if (
      (!found || mount.mountPoint.length >= found.mountPoint.length) &&
      !isCovered(mount, covering)
    ) {
      found = mount;
    }
  }
  return found;
}

/**
 * Whether a later mount on the same parent lies over a directory above this
 * one, or above one of the mounts that this one is mounted on.
 *
 * An earlier one does not count: in lists that were put together by hand the
 * parents are often wrong, while the order seldom is.
 */
function isCovered(mount: MountInfo, mounts: readonly MountInfo[]): boolean {
  const seen = new Set<MountInfo>();
  let current: MountInfo | undefined = mount;
  while (current !== undefined && !seen.has(current)) {
    const { parentId, mountPoint }: MountInfo = current;
    const position = mounts.indexOf(current);
    const covered = mounts.some((other, at) =>
      at > position && other.parentId === parentId &&
      other.mountPoint.length < mountPoint.length
    );
    if (covered) return true;
    seen.add(current);
    current = mounts.find((other) => other.mountId === parentId);
  }
  return false;
}
