/**
 * The process that ends a command under a lease in time, whatever becomes of
 * this one. It is started while the lock is waited for, for starting one takes
 * longer than a lock takes from one machine to the next.
 *
 * @module
 */

import type { LeaseMoments } from "../../../../lib/cluster/lease_rule.ts";
import { prepareCommand } from "../../../../lib/sys/process/exec.ts";
import { DeathLink } from "../../../../lib/sys/process/death_link.ts";
import { closeFile } from "../../../../lib/sys/file.ts";
import { setDescriptorInheritable } from "../../../../lib/sys/process/descriptors.ts";
import { Pidfd } from "../../../../lib/sys/process/pidfd.ts";
import { openPipe, writeLine } from "../../../../lib/sys/pipe.ts";
import { selfCommand } from "../../../self_command.ts";

/** The process that ends the command in time; another one when it has died. */
export class LeaseGuard implements Disposable {
  readonly #mark: string;
  readonly #link = new DeathLink();
  /** What it has to know, by subject. */
  readonly #told = new Map<string, string>();
  #process: GuardProcess;

  /** @param mark `NAME=value`, a variable that only the command will have. */
  constructor(mark: string) {
    this.#mark = mark;
    try {
      this.#process = this.#start();
    } catch (error) {
      this.#link[Symbol.dispose]();
      throw error;
    }
  }

  #start(): GuardProcess {
    const { readEnd, writeEnd } = openPipe();
    const self = selfCommand(
      ["run", "--lease-guard", String(readEnd), this.#mark],
      ["--allow-ffi"],
    );
    try {
      const start = prepareCommand([self.command, ...self.args]);
      setDescriptorInheritable(readEnd, true, "pipe");
      // It need not know of this one, only have it open.
      setDescriptorInheritable(this.#link.readEnd, true, "pipe");
      return { pidfd: Pidfd.open(start()), writeEnd };
    } catch (error) {
      closeFile(writeEnd);
      throw error;
    } finally {
      closeFile(readEnd);
      setDescriptorInheritable(this.#link.readEnd, false, "pipe");
    }
  }

  /** Which process the command is, and when it must end for each lock. */
  setCommand(pid: number, moments: readonly LeaseMoments[]): void {
    this.#link.tie(pid);
    moments.forEach((each, lock) => this.#note(lock, each));
    this.#told.set("pid", `pid ${pid}`);
    this.#tell(...this.#told.values());
  }

  /** When the command must end for the sake of one of its locks. */
  setDeadline(lock: number, moments: LeaseMoments): void {
    this.#tell(this.#note(lock, moments));
  }

  #note(lock: number, { termAt, killAt }: LeaseMoments): string {
    const line = `lease ${lock} ${termAt} ${killAt}`;
    this.#told.set(`lease ${lock}`, line);
    return line;
  }

  /** The command has got its TERM from this process. */
  commandIsTold(): void {
    this.#told.set("told", "told");
    this.#tell("told");
  }

  #tell(...lines: string[]): void {
    if (this.#write(lines)) return;
    try {
      const next = this.#start();
      this.#close();
      this.#process = next;
      this.#write([...this.#told.values()]);
    } catch {
      // With the next renewal it is tried again.
    }
  }

  #write(lines: readonly string[]): boolean {
    return writeLine(this.#process.writeEnd, lines.join("\n"));
  }

  /**
   * The command has ended, and so does the guard, even one that is still
   * starting: whoever reads the command's output waits for all who have it open.
   */
  [Symbol.dispose](): void {
    this.#write(["end"]);
    this.#process.pidfd?.signal("SIGKILL");
    this.#close();
    this.#link[Symbol.dispose]();
  }

  #close(): void {
    closeFile(this.#process.writeEnd);
    this.#process.pidfd?.[Symbol.dispose]();
  }
}

interface GuardProcess {
  readonly pidfd: Pidfd | undefined;
  /** Of the pipe that it listens to. */
  readonly writeEnd: number;
}
