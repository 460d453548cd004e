import { decodePath } from "../../proc/path_text.ts";
import type { PidStat } from "../../proc/pid_stat.ts";
import { readBytes, readTextIfAny } from "../file.ts";
import { listDirectory } from "../list_directory.ts";
import { Pidfd } from "./pidfd.ts";
import { readPidStat } from "./process.ts";

/** All children of kthreadd are kernel threads. */
const KTHREADD = 2;

/**
 * A command and what it has started, as far as it can be found: its children
 * and theirs, and, for those whose parent has ended, the processes that have its
 * mark in their environment.
 *
 * A process with another environment and no living parent isn't found; nor can
 * another user's environment be read.
 *
 * Permissions: `--allow-ffi`. See proc_pid_environ(5).
 */
export class ProcessFamily implements Disposable {
  readonly #mark: string;
  /** In the order in which they were found: parents before children. */
  readonly #members = new Map<number, Pidfd>();
  readonly #asked = new Set<number>();

  /**
   * @param pid The command, once it is there.
   * @param mark `NAME=value`, a variable that only this command has.
   */
  constructor(pid: number | undefined, mark: string) {
    this.#mark = `\0${mark}\0`;
    const command = pid === undefined ? undefined : Pidfd.open(pid);
    if (command !== undefined) this.#members.set(pid!, command);
  }

  /**
   * Looks for children of the members, and theirs: soon done, however many
   * processes there are. See proc_tid_children(5).
   */
  follow(): void {
    // Those that are added on the way are visited too.
    for (const pid of this.#members.keys()) {
      const threads = listDirectory(`/proc/${pid}/task`);
      if (typeof threads === "number") continue;
      for (const thread of threads) {
        const path = `/proc/${pid}/task/${thread}/children`;
        for (const child of readTextIfAny(path)?.match(/\d+/g) ?? []) {
          const stat = readProcess(child);
          if (stat?.ppid === pid) this.#add(stat);
        }
      }
    }
  }

  /**
   * Looks for members among all processes there are.
   *
   * @returns How many members can still do something.
   */
  look(): number {
    const processes = readProcesses();
    for (const pid of this.#members.keys()) {
      if (!processes.has(pid)) this.#drop(pid);
    }
    for (const stat of processes.values()) {
      if (this.#isMarked(stat)) this.#add(stat);
    }
    let before: number;
    do {
      before = this.#members.size;
      for (const stat of processes.values()) {
        if (this.#members.has(stat.ppid)) this.#add(stat);
      }
    } while (this.#members.size > before);
    return this.#members.size;
  }

  /** Sends TERM to each that hasn't been sent one yet. */
  askToEnd(): void {
    for (const [pid, member] of this.#members) {
      if (this.#asked.has(pid)) continue;
      this.#asked.add(pid);
      member.signal("SIGTERM");
    }
  }

  /** Sends KILL to all; one that can't be sent it is gone already. */
  kill(): void {
    for (const [pid, member] of this.#members) {
      if (!member.signal("SIGKILL")) this.#drop(pid);
    }
  }

  #isMarked({ pid, ppid }: PidStat): boolean {
    if (ppid === KTHREADD || this.#members.has(pid)) return false;
    const bytes = readBytes(`/proc/${pid}/environ`);
    return typeof bytes !== "number" &&
      `\0${decodePath(bytes)}`.includes(this.#mark);
  }

  #add({ pid, startTimeTicks }: PidStat): void {
    if (this.#members.has(pid)) return;
    const member = Pidfd.open(pid);
    if (member === undefined) return;
    // It may have ended since, and its number be another's.
    if (readProcess(`${pid}`)?.startTimeTicks === startTimeTicks) {
      this.#members.set(pid, member);
    } else {
      member[Symbol.dispose]();
    }
  }

  #drop(pid: number): void {
    this.#members.get(pid)?.[Symbol.dispose]();
    this.#members.delete(pid);
    this.#asked.delete(pid);
  }

  /** Lets go of all. */
  [Symbol.dispose](): void {
    for (const pid of this.#members.keys()) this.#drop(pid);
  }
}

/** A process other than this one, if it can still do something. */
function readProcess(pid: string): PidStat | undefined {
  const stat = readPidStat(Number(pid));
  return stat === undefined || "ZX".includes(stat.state) ||
      stat.pid === Deno.pid
    ? undefined
    : stat;
}

function readProcesses(): Map<number, PidStat> {
  const names = listDirectory("/proc");
  const stats = (typeof names === "number" ? [] : names)
    .filter((name) => /^\d+$/.test(name))
    .map(readProcess)
    .filter((stat) => stat !== undefined);
  return new Map(stats.map((stat) => [stat.pid, stat]));
}
