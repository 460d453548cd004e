import { parsePidStat } from "../../proc/pid_stat.ts";
import { decodePath } from "../../proc/path_text.ts";
import { readBytes, readTextIfAny } from "../file.ts";
import { listDirectory } from "../list_directory.ts";
import { Pidfd } from "./pidfd.ts";
import { readStartTicks } from "./process.ts";
import type { SignalName } from "./signals.ts";

/**
 * A command and what it has started, as far as it can be found: its children
 * and theirs, and, for those whose parent has ended, the processes that have its
 * variables in their environment.
 *
 * Who has ended before the first look leads to nobody; who has another
 * environment and no parent any more isn't found, nor may another user's
 * environment be read.
 *
 * Permissions: `--allow-ffi`. See proc_pid_environ(5).
 */
export class ProcessFamily implements Disposable {
  readonly #variables: readonly string[];
  readonly #members = new Map<number, Pidfd>();

  /**
   * @param pid The command, once it is there.
   * @param variables `NAME=value`, which together only this command has.
   */
  constructor(pid: number | undefined, variables: readonly string[]) {
    this.#variables = variables.map((each) => `\0${each}\0`);
    if (pid !== undefined) this.#add(pid);
  }

  /** Looks for new members, and gives how many there are, zombies left out. */
  look(): number {
    const processes = readProcesses();
    for (const pid of [...this.#members.keys()]) {
      if (!processes.has(pid)) this.#drop(pid);
    }
    processes.delete(Deno.pid);
    const marked = new Set(
      [...processes.keys()].filter((pid) => this.#isMarked(pid)),
    );
    let before: number;
    do {
      before = this.#members.size;
      for (const [pid, { parent, startTicks }] of processes) {
        if (this.#members.has(pid)) continue;
        if (marked.has(pid) || this.#members.has(parent)) {
          this.#add(pid, startTicks);
        }
      }
    } while (this.#members.size > before);
    return this.#members.size;
  }

  /** Sends a signal to all; who can't be sent one isn't there any more. */
  signal(name: SignalName, { except }: { except?: number } = {}): void {
    for (const [pid, member] of [...this.#members]) {
      if (pid !== except && !member.signal(name)) this.#drop(pid);
    }
  }

  #isMarked(pid: number): boolean {
    if (this.#variables.length === 0) return false;
    const bytes = readBytes(`/proc/${pid}/environ`);
    if (typeof bytes === "number") return false;
    const text = `\0${decodePath(bytes)}`;
    return this.#variables.every((variable) => text.includes(variable));
  }

  #add(pid: number, startTicks?: bigint): void {
    const member = Pidfd.open(pid);
    if (member === undefined) return;
    // It may have ended since, and its number be another's.
    if (startTicks === undefined || readStartTicks(pid) === startTicks) {
      this.#members.set(pid, member);
    } else {
      member[Symbol.dispose]();
    }
  }

  #drop(pid: number): void {
    this.#members.get(pid)?.[Symbol.dispose]();
    this.#members.delete(pid);
  }

  /** Lets go of all. */
  [Symbol.dispose](): void {
    for (const pid of [...this.#members.keys()]) this.#drop(pid);
  }
}

/** What a look at a process tells of it. */
interface Sighting {
  readonly parent: number;
  readonly startTicks: bigint;
}

/** All processes that can still do something. */
function readProcesses(): Map<number, Sighting> {
  const processes = new Map<number, Sighting>();
  const names = listDirectory("/proc");
  if (typeof names === "number") return processes;
  for (const name of names) {
    if (!/^\d+$/.test(name)) continue;
    const text = readTextIfAny(`/proc/${name}/stat`);
    if (text === undefined || text === "") continue;
    const { pid, ppid, state, startTimeTicks } = parsePidStat(text);
    if ("ZX".includes(state)) continue;
    processes.set(pid, { parent: ppid, startTicks: startTimeTicks });
  }
  return processes;
}
