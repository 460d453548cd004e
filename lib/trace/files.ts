/**
 * The files that a trace has seen, by needle, and their names.
 *
 * @module
 */

import { FileNamer, type PathStatus } from "../inspect/locked_path.ts";
import { parseFdinfo } from "../proc/fdinfo.ts";
import { type MountInfo, parseMountinfo } from "../proc/mountinfo.ts";
import { needleFromPath } from "../inspect/needle.ts";
import {
  listDirectory,
  readLink,
  readText,
  readTextIfAny,
} from "../sys/file.ts";
import { findInode } from "../sys/find_inode.ts";
import { dirname } from "../sys/path_parts.ts";
import type { TracedFile } from "./activity.ts";
import type { Hold } from "./holds.ts";

/** A file as the trace knows it. */
export interface KnownFile extends TracedFile {
  path: string | undefined;
  pathStatus: PathStatus;
  /** The batches in which its name was looked for in vain. */
  attempts: number;
  /** The last of them. */
  lastAttempt: number;
  /** The locks that are held on it. */
  holds: Hold[];
  /** How many threads wait for one. */
  waiters: number;
  /** What the user of the book knows of it. */
  isWanted: boolean | undefined;
}

/** Batches in which a file's name is looked for before it is given up. */
const MOST_ATTEMPTS = 20;

/** What all look-ups of one batch may take together, in milliseconds. */
const NAMING_BUDGET_MS = 10;

/** The same for what is held at the beginning. */
const FIRST_BUDGET_MS = 1000;

/** Directories in which a lock file's neighbours were found. */
const MOST_DIRECTORIES = 64;

/** Of a command line, so many words may be paths. */
const MOST_WORDS = 64;

const TWO_32 = 2n ** 32n;

/** Remembers files by needle. */
export class FileBook {
  /* By the inode number's lower half, which a machine can hash at once. */
  readonly #byInode = new Map<number, KnownFile[]>();
  readonly #namer = new FileNamer();
  #mounts: MountInfo[] | undefined;
  readonly #directories = new Set<string>();
  #budgetMs = FIRST_BUDGET_MS;
  #batch = 0;

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
      holds: [],
      waiters: 0,
      isWanted: undefined,
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

  /** Every file. */
  *all(): Generator<KnownFile> {
    for (const files of this.#byInode.values()) yield* files;
  }

  /**
   * Looks for a file's name, unless enough has been looked for in this batch:
   * among the descriptors of a process, which may have ended or closed the
   * file; then in its command line, and beside other lock files.
   *
   * @param pids The process, then whom it may have its descriptors from.
   */
  nameBy(file: KnownFile, pids: readonly number[]): void {
    if (file.path !== undefined || file.attempts >= MOST_ATTEMPTS) return;
    if (this.#budgetMs <= 0 || file.lastAttempt === this.#batch) return;
    const start = performance.now();
    file.attempts++;
    file.lastAttempt = this.#batch;
    const isNamed = pids.some((pid) => pid > 1 && this.#nameByFd(file, pid)) ||
      this.#nameByWords(file, pids[0]!) || this.#nameByNeighbours(file);
    if (isNamed && this.#directories.size < MOST_DIRECTORIES) {
      this.#directories.add(dirname(file.path!));
    }
    this.#budgetMs -= performance.now() - start;
  }

  /** Lets another batch look for names; mounts may have changed. */
  nextBatch(): void {
    this.#batch++;
    this.#budgetMs = NAMING_BUDGET_MS;
    this.#mounts = undefined;
  }

  /** `flock FILE`, `--lock=FILE`. */
  #nameByWords(file: KnownFile, pid: number): boolean {
    const words = readTextIfAny(`/proc/${pid}/cmdline`)?.split("\0") ?? [];
    return words.slice(1, MOST_WORDS).some((word) => {
      const path = word.slice(word.startsWith("-") ? word.indexOf("=") + 1 : 0);
      if (path === "") return false;
      if (path.startsWith("/")) return nameIfSame(file, path);
      const cwd = readLink(`/proc/${pid}/cwd`);
      return cwd !== undefined && nameIfSame(file, `${cwd}/${path}`);
    });
  }

  #nameByNeighbours(file: KnownFile): boolean {
    for (const directory of this.#directories) {
      const name = findInode(directory, file.inode);
      if (name !== undefined && nameIfSame(file, `${directory}/${name}`)) {
        return true;
      }
    }
    return false;
  }

  #nameByFd(file: KnownFile, pid: number): boolean {
    const fds = listDirectory(`/proc/${pid}/fdinfo`);
    if (typeof fds === "number") return false;
    for (const fd of fds) {
      const source = `/proc/${pid}/fdinfo/${fd}`;
      const text = readTextIfAny(source);
      if (!text?.includes(`ino:\t${file.inode}\n`)) continue;
      const { mountId } = parseFdinfo(text, { source, onError: () => {} });
      const mount = this.#readMounts().find((m) => m.mountId === mountId);
      if (mount?.major !== file.major || mount.minor !== file.minor) continue;
      const named = this.#namer.nameOf({ pid, fd: Number(fd) }, file);
      if (named.path === undefined) continue;
      file.path = named.path;
      file.pathStatus = named.pathStatus;
      return true;
    }
    return false;
  }

  #readMounts(): MountInfo[] {
    return this.#mounts ??= parseMountinfo(readText("/proc/self/mountinfo"), {
      onError: () => {},
    });
  }
}

/** Gives a file its name if the path leads to it, in this mount namespace. */
function nameIfSame(file: KnownFile, path: string): boolean {
  try {
    const needle = needleFromPath(path);
    if (
      needle?.inode !== file.inode || needle.major !== file.major ||
      needle.minor !== file.minor
    ) return false;
    file.path = path;
    file.pathStatus = "here";
    return true;
  } catch {
    // It may not be looked up, or was never a path.
    return false;
  }
}
