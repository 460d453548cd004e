/**
 * Processes that a command under a lease needs: the one that ends it in time
 * whatever becomes of this one; and the one that becomes the command, which
 * then the kernel itself kills with this one, sooner than the guard can and even
 * if that is killed too. The second is for locks that end with this process,
 * and for `--on-supervisor-death kill`.
 *
 * They are started while the lock is waited for, for starting one takes longer
 * than a lock takes from one machine to the next.
 *
 * @module
 */

import type { LeaseMoments } from "../../../../lib/cluster/lease_rule.ts";
import { prepareCommand } from "../../../../lib/sys/process/exec.ts";
import { closeFile } from "../../../../lib/sys/file.ts";
import { setDescriptorInheritable } from "../../../../lib/sys/process/descriptors.ts";
import { openPipe, writeLine } from "../../../../lib/sys/pipe.ts";
import { selfCommand } from "../../../self_command.ts";

/** A helper process, and the pipe that it listens to. */
class Helper {
  readonly pid: number;
  readonly #writeEnd: number;
  #closed = false;

  /** @param args What it is told to be; the number of its pipe comes first. */
  constructor(option: string, args: readonly string[]) {
    const { readEnd, writeEnd } = openPipe();
    this.#writeEnd = writeEnd;
    const self = selfCommand(["run", `--${option}`, String(readEnd), ...args], [
      "--allow-ffi",
    ]);
    try {
      const start = prepareCommand([self.command, ...self.args]);
      setDescriptorInheritable(readEnd, true, "pipe");
      this.pid = start();
    } catch (error) {
      closeFile(writeEnd);
      throw error;
    } finally {
      closeFile(readEnd);
    }
  }

  tell(line: string): void {
    if (!this.#closed) writeLine(this.#writeEnd, line);
  }

  /** Ends its lines. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeFile(this.#writeEnd);
  }
}

/** What is told to the process that becomes the command. */
export interface GateMessage {
  /** Variables to set. */
  variables: Record<string, string>;
  /** The directory to change to. */
  directory: string | undefined;
}

/** The process that becomes the command when it is told to. */
export class CommandGate implements Disposable {
  readonly #helper: Helper;

  /** Starts it; the command dies with this process. */
  constructor(command: readonly string[]) {
    this.#helper = new Helper("gate", [
      "--guard",
      String(Deno.pid),
      "--",
      ...command,
    ]);
  }

  /** Lets it become the command, and gives its process id. */
  open(message: GateMessage): number {
    this.#helper.tell(JSON.stringify(message));
    this.#helper.close();
    return this.#helper.pid;
  }

  /** Has it end, unless it has become the command. */
  [Symbol.dispose](): void {
    this.#helper.close();
  }
}

/** The process that ends the command in time. */
export class LeaseGuard implements Disposable {
  readonly #helper = new Helper("lease-guard", []);

  /** When the command must end for the sake of one of its locks. */
  setDeadline(lock: number, { termAt, killAt }: LeaseMoments): void {
    this.#helper.tell(`lease ${lock} ${termAt} ${killAt}`);
  }

  /** Which process the command is, and when it must end for each lock. */
  setCommand(pid: number, moments: readonly LeaseMoments[]): void {
    moments.forEach((each, lock) => this.setDeadline(lock, each));
    this.#helper.tell(`pid ${pid}`);
  }

  /** The command has got its TERM from this process. */
  commandIsTold(): void {
    this.#helper.tell("told");
  }

  /**
   * The command has ended. The guard isn't waited for: it may still be
   * starting.
   */
  [Symbol.dispose](): void {
    this.#helper.tell("end");
    this.#helper.close();
  }
}
