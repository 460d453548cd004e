/**
 * Two fields of one line of mountinfo, for a caller that needs no more: the
 * guard of every first lock.
 *
 * @module
 */

import { decodeOctal } from "./octal.ts";

/** What a mount is of. */
export interface MountSource {
  /** The filesystem's type. */
  fsType: string;
  /** The superblock's options. */
  superOptions: string;
}

/**
 * Finds a mount by its id. See `mountinfo.ts` for the whole of a line:
 *
 * ```text
 * 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
 * (1)                                         (2)             (3)
 * ```
 *
 * 1. mount id; 2. filesystem type; 3. options of the superblock.
 *
 * @param text The text of /proc/PID/mountinfo.
 * @param mountId The mount's id.
 * @returns `undefined` when there is no such line.
 */
export function findMountSource(
  text: string,
  mountId: number,
): MountSource | undefined {
  const start = `${mountId} `;
  const line = text.split("\n").find((line) => line.startsWith(start));
  // Blanks in names are escaped: the first lone dash is the separator.
  const [, after] = line?.split(" - ", 2) ?? [];
  if (after === undefined) return undefined;
  const [fsType = "", , superOptions = ""] = after.split(" ");
  return {
    fsType: decodeOctal(fsType),
    superOptions: decodeOctal(superOptions),
  };
}

/**
 * The directories that an overlay is made of, from its superblock's options;
 * untrusted, and names of the mount namespace in which it was mounted.
 */
export function overlayLayers(superOptions: string): string[] {
  // A colon or a comma in a name has a backslash before it.
  return superOptions.split(/(?<!\\),/).flatMap((option) => {
    const match = /^(?:lowerdir|upperdir|lowerdir\+|datadir\+)=(.*)$/
      .exec(option);
    return match === null ? [] : match[1]!.split(/(?<!\\)::?/);
  }).map((name) => name.replace(/\\(.)/g, "$1"))
    .filter((name) => name !== "");
}
