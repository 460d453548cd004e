import { openPipe } from "../pipe.ts";
import { closeFile } from "../file.ts";
import { setOpenFlags, setSignal, setSignalOwner } from "./descriptors.ts";
import { SIGNAL_NUMBERS } from "./signals.ts";

const O_ASYNC = 0o20000;

/**
 * Has the kernel kill a process when this one ends, however it ends.
 *
 * A pipe that nobody writes to announces the end of its only writer by a signal
 * to the owner of its read end. It comes while the descriptors of this process
 * are closed, sooner than that of PR_SET_PDEATHSIG, which moreover a process
 * must ask for itself, and which a set-user-ID program doesn't get. See "Managing
 * signals" in F_SETOWN(2const) and F_SETSIG(2const).
 */
export class DeathLink implements Disposable {
  /**
   * Must be open in another process when this one ends: a process that ends
   * closes its descriptors in an order that the kernel chooses.
   */
  readonly readEnd: number;
  readonly #writeEnd: number;

  /** Kills nobody yet. */
  constructor() {
    const { readEnd, writeEnd } = openPipe();
    this.readEnd = readEnd;
    this.#writeEnd = writeEnd;
    setSignal(readEnd, SIGNAL_NUMBERS.SIGKILL);
    setOpenFlags(readEnd, O_ASYNC);
  }

  /** Has a process killed, and no other any more; one that has ended never is. */
  tie(pid: number): void {
    setSignalOwner(this.readEnd, pid);
  }

  /** Kills nobody. */
  [Symbol.dispose](): void {
    setSignalOwner(this.readEnd, 0);
    closeFile(this.#writeEnd);
    closeFile(this.readEnd);
  }
}
