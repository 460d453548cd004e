/**
 * The lease of an NFSv4 client, out of /proc/PID/mountstats.
 *
 * @module
 */

import { decodeOctal } from "./octal.ts";

/**
 * How long the server of a mount keeps the locks of a client that it doesn't
 * hear from.
 *
 * ```text
 * device srv:/x mounted on /mnt/a with fstype nfs4 statvers=1.1
 *                          (1)
 *     nfsv4:  bm0=0xfdffbfff,...,sessions,lease_time=90,lease_expired=0
 *                                         (2)
 * ```
 *
 * 1. the mount point, with blanks escaped as in mountinfo; 2. seconds, since
 * Linux 5.0. See nfs_show_stats in fs/nfs/super.c.
 *
 * @param text The text of /proc/PID/mountstats.
 * @param mountPoint As `parseMountinfo` gives it.
 * @returns Milliseconds; `undefined` when nothing is said of it.
 */
export function findLeaseMs(
  text: string,
  mountPoint: string,
): number | undefined {
  let isWanted = false;
  let found: number | undefined;
  for (const line of text.split("\n")) {
    const [, at] = /^(?:device .*|no device) mounted on (\S+) with fstype /
      .exec(line) ?? [];
    // Of several on one mount point the last one is on top.
    if (at !== undefined) isWanted = decodeOctal(at) === mountPoint;
    if (!isWanted) continue;
    const [, seconds] = /^\tnfsv4:.*\blease_time=(\d{1,9})\b/.exec(line) ?? [];
    if (seconds !== undefined) found = Number(seconds) * 1000;
  }
  return found;
}
