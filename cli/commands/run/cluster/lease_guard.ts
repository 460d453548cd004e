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
import { openPipe, writeLine } from "../../../../lib/sys/pipe.ts";
import { selfCommand } from "../../../self_command.ts";

/** The process that ends the command in time. */
export class LeaseGuard implements Disposable {
  readonly #writeEnd: number;
  readonly #link: DeathLink;

  /** @param mark `NAME=value`, a variable that only the command will have. */
  constructor(mark: string) {
    const { readEnd, writeEnd } = openPipe();
    this.#writeEnd = writeEnd;
    this.#link = new DeathLink();
    const self = selfCommand(["run", "--lease-guard", String(readEnd), mark], [
      "--allow-ffi",
    ]);
    try {
      const start = prepareCommand([self.command, ...self.args]);
      setDescriptorInheritable(readEnd, true, "pipe");
      // It need not know of this one, only have it open.
      setDescriptorInheritable(this.#link.readEnd, true, "pipe");
      start();
    } catch (error) {
      this.#close();
      throw error;
    } finally {
      closeFile(readEnd);
    }
    setDescriptorInheritable(this.#link.readEnd, false, "pipe");
  }

  /** Which process the command is, and when it must end for each lock. */
  setCommand(pid: number, moments: readonly LeaseMoments[]): void {
    this.#link.tie(pid);
    this.#tell(...moments.map(leaseLine), `pid ${pid}`);
  }

  /** When the command must end for the sake of one of its locks. */
  setDeadline(lock: number, moments: LeaseMoments): void {
    this.#tell(leaseLine(moments, lock));
  }

  /** The command has got its TERM from this process. */
  commandIsTold(): void {
    this.#tell("told");
  }

  #tell(...lines: string[]): void {
    writeLine(this.#writeEnd, lines.join("\n"));
  }

  /**
   * The command has ended. The guard isn't waited for: it may still be
   * starting.
   */
  [Symbol.dispose](): void {
    this.#tell("end");
    this.#close();
  }

  #close(): void {
    this.#link[Symbol.dispose]();
    closeFile(this.#writeEnd);
  }
}

function leaseLine({ termAt, killAt }: LeaseMoments, lock: number): string {
  return `lease ${lock} ${termAt} ${killAt}`;
}
