import { openPipe } from "../pipe.ts";
import { closeFile } from "../file.ts";
import { libc } from "../libc.ts";
import { SIGNAL_NUMBERS } from "./signals.ts";

const F_SETFL = 4;
const F_SETOWN = 8;
const F_SETSIG = 10;
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
   * Must be open in another process when this one ends: who ends closes its
   * descriptors in an order of the kernel's.
   */
  readonly readEnd: number;
  readonly #writeEnd: number;

  /** Kills nobody yet. */
  constructor() {
    const { readEnd, writeEnd } = openPipe();
    this.readEnd = readEnd;
    this.#writeEnd = writeEnd;
    libc.fcntl_int(readEnd, F_SETSIG, SIGNAL_NUMBERS.SIGKILL);
    libc.fcntl_int(readEnd, F_SETFL, O_ASYNC);
  }

  /** Has a process killed, and no other any more; one that has ended never is. */
  tie(pid: number): void {
    libc.fcntl_int(this.readEnd, F_SETOWN, pid);
  }

  /** Kills nobody. */
  [Symbol.dispose](): void {
    libc.fcntl_int(this.readEnd, F_SETOWN, 0);
    closeFile(this.#writeEnd);
    closeFile(this.readEnd);
  }
}
