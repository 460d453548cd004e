/**
 * How the files of a trace get their names.
 *
 * @module
 */

import { FileNamer } from "../inspect/locked_path.ts";
import { needleFromPath } from "../inspect/needle.ts";
import { type MountInfo, parseMountinfo } from "../proc/mountinfo.ts";
import { readText, readTextIfAny } from "../sys/file.ts";
import { readLink } from "../sys/storage/names.ts";
import { listDirectory } from "../sys/list_directory.ts";
import { listInodes } from "../sys/list_inodes.ts";
import { dirname } from "../sys/path_parts.ts";
import { statIfAny } from "../sys/stat_if_any.ts";
import {
  forgetName,
  isStillItsName,
  type KnownFile,
  setName,
} from "./files.ts";

/**
 * Batches in which a file's name is looked for before it is given up, each
 * after twice as many as the last.
 */
const MOST_ATTEMPTS = 12;

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

/** A process that knows a file. */
export interface NamingProcess {
  pid: number;
  ancestors: readonly number[];
}

/** Finds the names of files. */
export class FileNames {
  readonly #namer = new FileNamer();
  readonly #openByPid = new Map<number, Map<bigint, OpenFile[]>>();
  readonly #listings = new Map<string, Map<bigint, string>>();
  readonly #directories: Set<string>;
  readonly #asksByName: boolean;
  readonly #eachBudgetMs: number;
  #mounts: ReadonlyMap<number, MountInfo> | undefined;
  #budgetMs: number;
  #batch = 0;

  /**
   * @param asksByName Whether files are asked for by name.
   * @param directories Where those that are asked for are likely to be.
   */
  constructor(asksByName: boolean, directories: readonly string[] = []) {
    this.#asksByName = asksByName;
    this.#directories = new Set(directories);
    this.#budgetMs = asksByName ? Infinity : FIRST_BUDGET_MS;
    this.#eachBudgetMs = asksByName ? FILTER_BUDGET_MS : NAMING_BUDGET_MS;
  }

  /**
   * Looks for a file's name, unless enough has been looked for in this batch:
   * among the descriptors of a process, which may have ended or closed the
   * file; in its command line; and beside other lock files.
   *
   * @param process A process that has to do with it; it may have descriptors
   * from its ancestors.
   */
  find(file: KnownFile, process: NamingProcess): void {
    if (file.lastAttempt === this.#batch) return;
    if (file.path !== undefined) {
      file.lastAttempt = this.#batch;
      if (isStillItsName(file)) return;
      // Another file may have its inode number by now.
      forgetName(file);
    } else if (file.lastAttempt >= 0) {
      const pause = 2 ** file.attempts / 2;
      if (this.#batch - file.lastAttempt < pause) return;
    }
    if (file.attempts >= MOST_ATTEMPTS || this.#budgetMs <= 0) return;
    const start = performance.now();
    file.attempts++;
    file.lastAttempt = this.#batch;
    if (
      this.#look(file, process) && this.#directories.size < MOST_DIRECTORIES
    ) {
      this.#directories.add(dirname(file.path!));
    }
    this.#budgetMs -= performance.now() - start;
  }

  #look(file: KnownFile, { pid, ancestors }: NamingProcess): boolean {
    // Where names matter, the quickest way is tried first.
    if (this.#asksByName && this.#nameByNeighbours(file)) return true;
    return this.#nameByFd(file, pid) ||
      ancestors.some((id) => id > 1 && this.#nameByFd(file, id)) ||
      this.#nameByWords(file, pid) || this.#nameByNeighbours(file);
  }

  /** Lets another batch look for names; mounts may have changed. */
  nextBatch(): void {
    this.#batch++;
    this.#budgetMs = this.#eachBudgetMs;
    this.#mounts = undefined;
    this.#openByPid.clear();
    this.#listings.clear();
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
      const name = this.#listing(directory).get(file.inode);
      if (name !== undefined && nameIfSame(file, `${directory}/${name}`)) {
        return true;
      }
    }
    return false;
  }

  /** A directory's names by inode number, read once a batch. */
  #listing(directory: string): ReadonlyMap<bigint, string> {
    let listing = this.#listings.get(directory);
    if (listing === undefined) {
      this.#listings.set(directory, listing = listInodes(directory));
    }
    return listing;
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
