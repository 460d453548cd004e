/**
 * The files that a trace has seen, by needle.
 *
 * @module
 */

import type { PathStatus } from "../inspect/locked_path.ts";
import { type FileStat, isStillNamed } from "../sys/file.ts";
import { statIfAny } from "../sys/storage/names.ts";
import type { LockActivity, TracedFile } from "./activity.ts";
import type { Hold } from "./holds.ts";
import type { KnownProcess } from "./processes.ts";

/** A file as the trace knows it. */
export interface KnownFile extends TracedFile {
  path: string | undefined;
  pathStatus: PathStatus;
  /** The batches in which its name was looked for in vain. */
  attempts: number;
  /** The last batch in which it was looked for or made sure of. */
  lastAttempt: number;
  /** The process with whose help it was looked for last. */
  lookedBy: number | undefined;
  /** What its path led to when it got its name. */
  stat: FileStat | undefined;
  /** The locks that are held on it. */
  holds: Hold[];
  /** How many threads wait for one. */
  waiters: number;
  /** Whether its needle, and whether its name is one that is asked for. */
  isCandidate: boolean | undefined;
  isWanted: boolean | undefined;
  /** What is to be told of it if its name turns out to be asked for. */
  untold: Told[] | undefined;
}

/** Something to be told. */
export interface Told {
  activity: LockActivity;
  process: KnownProcess;
}

const TWO_32 = 2n ** 32n;

/** Remembers files by needle. */
export class FileBook {
  /* By the inode number's lower half, which a machine can hash at once. */
  readonly #byInode = new Map<number, KnownFile[]>();

  /**
   * The file of a needle as an event gives it.
   *
   * @param device The device as major << 20 | minor.
   * @param inodeLow Lower 32 bits of the inode number.
   * @param inodeHigh Upper 32 bits of the inode number.
   */
  get(device: number, inodeLow: number, inodeHigh: number): KnownFile {
    let files = this.#byInode.get(inodeLow);
    if (files === undefined) this.#byInode.set(inodeLow, files = []);
    const major = device >>> 20;
    const minor = device & 0xf_ffff;
    for (const file of files) {
      if (
        file.minor === minor && file.major === major &&
        (inodeHigh === 0 && file.inode < TWO_32 ||
          file.inode >> 32n === BigInt(inodeHigh))
      ) return file;
    }
    const file: KnownFile = {
      major,
      minor,
      inode: BigInt(inodeHigh) << 32n | BigInt(inodeLow),
      path: undefined,
      pathStatus: "unknown",
      attempts: 0,
      lastAttempt: -1,
      lookedBy: undefined,
      stat: undefined,
      holds: [],
      waiters: 0,
      isCandidate: undefined,
      isWanted: undefined,
      untold: undefined,
    };
    files.push(file);
    return file;
  }

  /** The file of a needle as /proc/locks gives it. */
  find(major: number, minor: number, inode: bigint): KnownFile {
    return this.get(
      // Unsigned: a major number has 12 bits.
      (major << 20 | minor) >>> 0,
      Number(inode % TWO_32),
      Number(inode >> 32n),
    );
  }

  /** Names a file of which the name is known already. */
  name({ major, minor, inode, path, pathStatus }: TracedFile): void {
    const file = this.find(major, minor, inode);
    if (path !== undefined) setName(file, path, pathStatus);
  }

  /** Every file. */
  *all(): Generator<KnownFile> {
    for (const files of this.#byInode.values()) yield* files;
  }
}

/** Gives a file a name. */
export function setName(
  file: KnownFile,
  path: string,
  status: PathStatus,
): void {
  file.path = path;
  file.pathStatus = status;
  file.stat = status === "here" ? statIfAny(path) : undefined;
  file.isWanted = undefined;
}

/** A name is no longer good. */
export function forgetName(file: KnownFile): void {
  file.path = undefined;
  file.pathStatus = "unknown";
  file.stat = undefined;
  file.attempts = 0;
  file.lookedBy = undefined;
  file.isWanted = undefined;
}

/** Whether a path leads where it led; one that led nowhere is not asked. */
export function isStillItsName({ path, stat, holds }: KnownFile): boolean {
  if (holds.length > 0) return true;
  try {
    return stat !== undefined && isStillNamed(path!, stat);
  } catch {
    return false;
  }
}
