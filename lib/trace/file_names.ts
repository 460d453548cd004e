/**
 * How the files of a trace get their names.
 *
 * @module
 */

import { FileNamer } from "../inspect/locked_path.ts";
import { needleFromPath } from "../inspect/needle.ts";
import { type MountInfo, parseMountinfo } from "../proc/mountinfo.ts";
import { readText, readTextIfAny } from "../sys/file.ts";
import { readLink, statIfAny } from "../sys/storage/names.ts";
import { listDirectory } from "../sys/list_directory.ts";
import { dirname } from "../sys/path_parts.ts";
import {
  forgetName,
  isStillItsName,
  type KnownFile,
  setName,
} from "./files.ts";
import { Neighbours } from "./neighbours.ts";

/**
 * Batches in which a file's name is looked for before it is given up, each
 * after twice as many as the last.
 */
const MAX_ATTEMPTS = 12;

/** What all look-ups of one batch may take together, in milliseconds. */
const NAMING_BUDGET_MS = 10;

/** The same for what is held at the beginning. */
const FIRST_BUDGET_MS = 1000;

/** Directories in which a lock file's neighbours were found. */
const MAX_DIRECTORIES = 64;

/** Of a command line, so many words may be paths. */
const MAX_WORDS = 64;

/** A process that knows a file. */
export interface NamingProcess {
  pid: number;
  ancestors: readonly number[];
}

/** Finds the names of files. */
export class FileNames {
  readonly #namer = new FileNamer();
  readonly #openByPid = new Map<number, Map<bigint, OpenFile[]>>();
  readonly #neighbours = new Neighbours();
  readonly #directories: Set<string>;
  readonly #asksByName: boolean;
  readonly #now: () => number;
  #mounts: ReadonlyMap<number, MountInfo> | undefined;
  #budgetMs = FIRST_BUDGET_MS;
  #batch = 0;

  /**
   * @param asksByName Whether files are asked for by name.
   * @param directories Where those that are asked for are likely to be.
   * @param now The clock by which look-ups are short, in milliseconds.
   */
  constructor(
    asksByName: boolean,
    directories: readonly string[] = [],
    now: () => number = () => performance.now(),
  ) {
    this.#asksByName = asksByName;
    this.#directories = new Set(directories);
    this.#now = now;
  }

  /**
   * Looks for a file's name: beside other lock files, among the descriptors of
   * a process, which may have ended or closed the file, and in its command
   * line.
   *
   * @param process A process that has to do with it; it may have descriptors
   * from its ancestors.
   * @returns False when enough has been looked for in this batch, and the name
   * matters: it is to be asked again.
   */
  find(file: KnownFile, process: NamingProcess): boolean {
    const isFirst = file.lastAttempt !== this.#batch;
    if (file.path !== undefined) {
      file.lastAttempt = this.#batch;
      if (!isFirst || isStillItsName(file)) return true;
      // Another file may have its inode number by now.
      forgetName(file);
    }
    // Where names matter, this is quick, and knows what is closed already.
    if (this.#asksByName && isFirst && this.#nameByNeighbours(file)) {
      file.lastAttempt = this.#batch;
      return true;
    }
    if (!this.#isDue(file, process)) return true;
    if (this.#budgetMs <= 0) return !this.#asksByName;
    const start = this.#now();
    file.attempts++;
    file.lastAttempt = this.#batch;
    file.lookedBy = process.pid;
    if (
      this.#look(file, process) && this.#directories.size < MAX_DIRECTORIES
    ) {
      this.#directories.add(dirname(file.path!));
    }
    this.#budgetMs -= this.#now() - start;
    return true;
  }

  /** Whether it is worth while to look with the help of a process. */
  #isDue(file: KnownFile, { pid }: NamingProcess): boolean {
    const { lastAttempt, attempts } = file;
    // Where names matter, whoever is new may have it open.
    if (this.#asksByName && pid !== file.lookedBy) return true;
    if (attempts >= MAX_ATTEMPTS) return false;
    const pause = attempts === 0 ? 0 : 2 ** attempts / 2;
    return this.#batch - lastAttempt >= pause;
  }

  #look(file: KnownFile, { pid, ancestors }: NamingProcess): boolean {
    return this.#nameByFd(file, pid) ||
      ancestors.some((id) => id > 1 && this.#nameByFd(file, id)) ||
      this.#nameByWords(file, pid) || this.#nameByNeighbours(file);
  }

  /** Lets another batch look for names; mounts may have changed. */
  nextBatch(): void {
    this.#batch++;
    this.#budgetMs = NAMING_BUDGET_MS;
    this.#mounts = undefined;
    this.#openByPid.clear();
    this.#neighbours.nextBatch();
  }

  /** `flock FILE`, `--lock=FILE`. */
  #nameByWords(file: KnownFile, pid: number): boolean {
    const words = readTextIfAny(`/proc/${pid}/cmdline`)?.split("\0") ?? [];
    return words.slice(1, MAX_WORDS).some((word) => {
      const path = word.slice(word.startsWith("-") ? word.indexOf("=") + 1 : 0);
      if (path === "") return false;
      if (path.startsWith("/")) return nameIfSame(file, path);
      const cwd = readLink(`/proc/${pid}/cwd`);
      return cwd !== undefined && nameIfSame(file, `${cwd}/${path}`);
    });
  }

  #nameByNeighbours(file: KnownFile): boolean {
    for (const directory of this.#directories) {
      const name = this.#neighbours.list(directory).get(file.inode);
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
