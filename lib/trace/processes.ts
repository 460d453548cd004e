/**
 * The processes that a trace has seen, and whose children they are.
 *
 * @module
 */

import { CMDLINE_UNAVAILABLE } from "../proc/cmdline.ts";
import { printable } from "../proc/printable.ts";
import type {
  ExecLine,
  ExitLine,
  ForkLine,
} from "../proc/trace/trace_event.ts";
import { readTextIfAny } from "../sys/file.ts";
import { readCommandLine, readPidStat } from "../sys/process/process.ts";
import type { TracedProcess } from "./activity.ts";
import type { Hold } from "./holds.ts";

/** A process as the trace knows it. */
export interface KnownProcess extends TracedProcess {
  command: string;
  /** Whether it has ended. */
  ended: boolean;
  /** The ids of its parent, that one's parent and so on, when first seen. */
  readonly ancestors: readonly number[];
  /** The locks that it holds. */
  readonly holds: Set<Hold>;
}

/** How long the ended are remembered, in nanoseconds of the trace. */
const KEEP_ENDED_NS = 1e9;

/** Command lines that are looked up in one batch before they are needed. */
const EAGER_READS = 32;

/** More ancestors than this can only be a loop. */
const MAX_ANCESTORS = 1000;

/** Parents that are remembered. */
const MAX_PARENTS = 100_000;

/** Remembers processes by pid; those that ended a while ago are forgotten. */
export class ProcessBook {
  readonly #known = new Map<number, KnownProcess>();
  readonly #parents = new Map<number, number>();
  /** The programs of those whose command line nobody has asked for yet. */
  readonly #programs = new Map<number, string>();
  /** When threads ended, the earliest first. */
  readonly #endedNs = new Map<number, number>();
  #eagerReads = EAGER_READS;

  /** The process of an id. */
  get(pid: number): KnownProcess {
    let known = this.#known.get(pid);
    if (known === undefined) {
      known = {
        pid,
        command: this.#commandOf(pid),
        ended: false,
        ancestors: [...this.#ancestorsOf(pid)],
        holds: new Set(),
      };
      this.#known.set(pid, known);
      if (this.#endedNs.has(pid)) this.checkEnded(known);
    }
    return known;
  }

  /** The process of an id, if it was asked for before. */
  find(pid: number): KnownProcess | undefined {
    return this.#known.get(pid);
  }

  /** The id of a process's parent, or of the thread that made it. */
  parentOf(id: number): number | undefined {
    let parent = this.#parents.get(id);
    if (parent === undefined) {
      parent = readParent(id);
      if (parent !== undefined) this.#setParent(id, parent);
    }
    return parent;
  }

  /**
   * Those of the ended are kept, since their children may live: a new thread
   * with the number of an old one is told of.
   */
  #setParent(id: number, parent: number): void {
    this.#parents.delete(id);
    this.#parents.set(id, parent);
    if (this.#parents.size <= MAX_PARENTS) return;
    const [oldest] = this.#parents.keys();
    this.#parents.delete(oldest!);
  }

  /** The ids of its parent, that one's parent, and so on. */
  *#ancestorsOf(id: number): Generator<number> {
    let current = this.parentOf(id);
    for (let n = 0; current !== undefined && n < MAX_ANCESTORS; n++) {
      yield current;
      current = this.parentOf(current);
    }
  }

  /** The process itself or, if it has ended, its nearest living ancestor. */
  present(process: KnownProcess): KnownProcess {
    if (!process.ended) return process;
    for (const id of process.ancestors) {
      // The first process adopts orphans; it holds nothing of theirs.
      if (id === 1) break;
      const ancestor = this.get(id);
      if (!ancestor.ended && ancestor.command !== CMDLINE_UNAVAILABLE) {
        return ancestor;
      }
    }
    return process;
  }

  /** A process or thread was made. */
  forked({ threadId, childId, comm }: ForkLine): void {
    this.#known.delete(childId);
    this.#endedNs.delete(childId);
    this.#setParent(childId, threadId);
    this.#programs.set(childId, this.#nameOf(threadId) ?? `[${comm}]`);
  }

  #nameOf(id: number): string | undefined {
    return this.#known.get(id)?.command ?? this.#programs.get(id);
  }

  /** A process runs another program. */
  executed({ threadId, filename }: ExecLine): void {
    this.#programs.set(threadId, filename);
    const known = this.#known.get(threadId);
    if (known !== undefined) known.command = this.#commandOf(threadId);
    else if (this.#eagerReads-- > 0) {
      // Soon it may be gone.
      const command = readCommandLine(threadId);
      if (command !== CMDLINE_UNAVAILABLE) {
        this.#programs.set(threadId, command);
      }
    }
  }

  /** A thread has ended. */
  exited({ threadId, timeNs, isLast }: ExitLine): void {
    const known = this.#known.get(threadId);
    // A first thread may end before the others.
    if (known !== undefined && isLast !== false) known.ended = true;
    this.#endedNs.set(threadId, timeNs);
  }

  /** Marks a process as ended if it is, though no event has told so. */
  checkEnded(process: KnownProcess): boolean {
    process.ended ||= this.isGone(process);
    return process.ended;
  }

  /** Whether a process has no files open any more: it is at most a zombie. */
  isGone(process: KnownProcess): boolean {
    const { pid } = process;
    const known = this.#known.get(pid);
    // Another has its number.
    if (known !== undefined && known !== process) return true;
    const stat = readPidStat(pid);
    return stat === undefined || /[ZX]/.test(stat.state) && stat.threads <= 1;
  }

  /** Forgets who ended long before a moment. */
  sweep(nowNs: number): void {
    this.#eagerReads = EAGER_READS;
    for (const [id, atNs] of this.#endedNs) {
      if (nowNs - atNs < KEEP_ENDED_NS) break;
      this.#endedNs.delete(id);
      // It goes on in other threads.
      if (this.#known.get(id)?.ended === false) continue;
      this.#known.delete(id);
      this.#programs.delete(id);
    }
  }

  /** Forgets who holds nothing, where no event tells that a process ended. */
  forgetIdle(): void {
    for (const [pid, { holds }] of this.#known) {
      if (holds.size === 0) this.#known.delete(pid);
    }
    this.#parents.clear();
  }

  #commandOf(pid: number): string {
    const command = readCommandLine(pid);
    if (command !== CMDLINE_UNAVAILABLE) return command;
    const program = this.#programs.get(pid);
    return program === undefined ? command : printable(program);
  }
}

/** Of a first thread the parent of its process, of another its first thread. */
function readParent(id: number): number | undefined {
  const status = readTextIfAny(`/proc/${id}/status`) ?? "";
  const process = Number(/^Tgid:\t(\d+)/m.exec(status)?.[1] ?? id);
  if (process !== id) return process;
  const parent = Number(/^PPid:\t(\d+)/m.exec(status)?.[1] ?? 0);
  return parent === 0 ? undefined : parent;
}
