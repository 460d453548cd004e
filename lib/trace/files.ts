/**
 * The files that a trace has seen, by needle, and their names.
 *
 * @module
 */

import { FileNamer, type PathStatus } from "../inspect/locked_path.ts";
import { type MountInfo, parseMountinfo } from "../proc/mountinfo.ts";
import { needleFromPath } from "../inspect/needle.ts";
import {
  type FileStat,
  isStillNamed,
  listDirectory,
  readLink,
  readText,
  readTextIfAny,
} from "../sys/file.ts";
import { findInode } from "../sys/find_inode.ts";
import { statIfAny } from "../sys/stat_if_any.ts";
import { dirname } from "../sys/path_parts.ts";
import type { TracedFile } from "./activity.ts";
import type { Hold } from "./holds.ts";

/** A file as the trace knows it. */
export interface KnownFile extends TracedFile {
  path: string | undefined;
  pathStatus: PathStatus;
  /** The batches in which its name was looked for in vain. */
  attempts: number;
  /** The last batch in which it was looked for or made sure of. */
  lastAttempt: number;
  /** What its path led to when it got its name. */
  stat: FileStat | undefined;
  /** The locks that are held on it. */
  holds: Hold[];
  /** How many threads wait for one. */
  waiters: number;
  /** Whether its needle, and whether its name is one that is asked for. */
  isCandidate: boolean | undefined;
  isWanted: boolean | undefined;
}

/** Batches in which a file's name is looked for before it is given up. */
const MOST_ATTEMPTS = 20;

/** What all look-ups of one batch may take together, in milliseconds. */
const NAMING_BUDGET_MS = 10;

/** The same where files are asked for by name, so that none is missed. */
const FILTER_BUDGET_MS = 100;

/** The same for what is held at the beginning. */
const FIRST_BUDGET_MS = 1000;

/** Directories in which a lock file's neighbours were found. */
const MOST_DIRECTORIES = 64;

/** Of a command line, so many words may be paths. */
const MOST_WORDS = 64;

const TWO_32 = 2n ** 32n;

/** A process that knows a file. */
export interface NamingProcess {
  pid: number;
  ancestors: readonly number[];
}

/** Remembers files by needle. */
export class FileBook {
  /* By the inode number's lower half, which a machine can hash at once. */
  readonly #byInode = new Map<number, KnownFile[]>();
  readonly #namer = new FileNamer();
  readonly #openByPid = new Map<number, Map<bigint, OpenFile[]>>();
  #mounts: ReadonlyMap<number, MountInfo> | undefined;
  readonly #directories = new Set<string>();
  readonly #eachBudgetMs: number;
  #budgetMs = FIRST_BUDGET_MS;
  #batch = 0;

  /** @param asksByName Whether files are asked for by name. */
  constructor(asksByName: boolean) {
    this.#eachBudgetMs = asksByName ? FILTER_BUDGET_MS : NAMING_BUDGET_MS;
  }

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
      stat: undefined,
      holds: [],
      waiters: 0,
      isCandidate: undefined,
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

  /** Names a file of which the name is known already. */
  name({ major, minor, inode, path, pathStatus }: TracedFile): void {
    const file = this.find(major, minor, inode);
    if (path !== undefined) setName(file, path, pathStatus);
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
   * @param process A process that has to do with it; it may have descriptors
   * from its ancestors.
   * @param isUrgent Whether it is one that is asked for; others leave half of
   * what a batch may take.
   */
  nameBy(file: KnownFile, process: NamingProcess, isUrgent: boolean): void {
    if (file.lastAttempt === this.#batch) return;
    if (file.path !== undefined) {
      file.lastAttempt = this.#batch;
      if (isStillItsName(file)) return;
      // Another file may have its inode number by now.
      forgetName(file);
    }
    const reserveMs = isUrgent ? 0 : this.#eachBudgetMs / 2;
    if (file.attempts >= MOST_ATTEMPTS || this.#budgetMs <= reserveMs) return;
    const start = performance.now();
    file.attempts++;
    file.lastAttempt = this.#batch;
    const { pid, ancestors } = process;
    const isNamed = this.#nameByFd(file, pid) ||
      ancestors.some((id) => id > 1 && this.#nameByFd(file, id)) ||
      this.#nameByWords(file, pid) || this.#nameByNeighbours(file);
    if (isNamed && this.#directories.size < MOST_DIRECTORIES) {
      this.#directories.add(dirname(file.path!));
    }
    this.#budgetMs -= performance.now() - start;
  }

  /** Lets another batch look for names; mounts may have changed. */
  nextBatch(): void {
    this.#batch++;
    this.#budgetMs = this.#eachBudgetMs;
    this.#mounts = undefined;
    this.#openByPid.clear();
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
    for (const { fd, mountId } of this.#openFiles(pid).get(file.inode) ?? []) {
      const mount = this.#readMounts().get(mountId);
      if (mount?.major !== file.major || mount.minor !== file.minor) continue;
      const named = this.#namer.nameOf({ pid, fd }, file);
      if (named.path === undefined) continue;
      setName(file, named.path, named.pathStatus);
      return true;
    }
    return false;
  }

  /** A process's descriptors by inode number, read once a batch. */
  #openFiles(pid: number): ReadonlyMap<bigint, OpenFile[]> {
    let byInode = this.#openByPid.get(pid);
    if (byInode === undefined) {
      this.#openByPid.set(pid, byInode = readOpenFiles(pid));
    }
    return byInode;
  }

  #readMounts(): ReadonlyMap<number, MountInfo> {
    return this.#mounts ??= new Map(
      parseMountinfo(readText("/proc/self/mountinfo"), { onError: () => {} })
        .map((mount) => [mount.mountId, mount]),
    );
  }
}

interface OpenFile {
  fd: number;
  mountId: number;
}

function readOpenFiles(pid: number): Map<bigint, OpenFile[]> {
  const byInode = new Map<bigint, OpenFile[]>();
  const fds = listDirectory(`/proc/${pid}/fdinfo`);
  if (typeof fds === "number") return byInode;
  for (const fd of fds) {
    const text = readTextIfAny(`/proc/${pid}/fdinfo/${fd}`);
    const mountId = /^mnt_id:\t(\d+)$/m.exec(text ?? "")?.[1];
    if (mountId === undefined) continue;
    // Linux before 5.14 has no "ino:" line.
    const number = /^ino:\t(\d+)$/m.exec(text!)?.[1];
    const inode = number === undefined
      ? statIfAny(`/proc/${pid}/fd/${fd}`)?.inode
      : BigInt(number);
    if (inode === undefined) continue;
    const open = byInode.get(inode) ?? [];
    byInode.set(inode, open);
    open.push({ fd: Number(fd), mountId: Number(mountId) });
  }
  return byInode;
}

/** Gives a file its name if the path leads to it, in this mount namespace. */
function nameIfSame(file: KnownFile, path: string): boolean {
  try {
    const needle = needleFromPath(path);
    if (
      needle?.inode !== file.inode || needle.major !== file.major ||
      needle.minor !== file.minor
    ) return false;
    setName(file, path, "here");
    return true;
  } catch {
    // It may not be looked up, or was never a path.
    return false;
  }
}

function setName(file: KnownFile, path: string, status: PathStatus): void {
  file.path = path;
  file.pathStatus = status;
  file.stat = status === "here" ? statIfAny(path) : undefined;
  file.isWanted = undefined;
}

function forgetName(file: KnownFile): void {
  file.path = undefined;
  file.pathStatus = "unknown";
  file.stat = undefined;
  file.attempts = 0;
  file.isWanted = undefined;
}

/** Whether a path leads where it led; one that led nowhere is not asked. */
function isStillItsName({ path, stat, holds }: KnownFile): boolean {
  if (holds.length > 0) return true;
  try {
    return stat !== undefined && isStillNamed(path!, stat);
  } catch {
    return false;
  }
}
