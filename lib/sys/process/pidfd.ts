import { callLibc } from "../call.ts";
import { closeFile } from "../file.ts";
import { libc } from "../libc.ts";
import { SIGNAL_NUMBERS, type SignalName } from "./signals.ts";

/* The same on every architecture since Linux 5.3. */
const SYS_PIDFD_SEND_SIGNAL = 424n;
const SYS_PIDFD_OPEN = 434n;

/**
 * A process that may be signalled even after it has ended and its number is
 * another's: nothing happens then. See pidfd_open(2), Linux 5.3.
 */
export class Pidfd implements Disposable {
  readonly #fd: number;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** Opens a process; `undefined` when it is gone already. */
  static open(pid: number): Pidfd | undefined {
    const fd = callLibc(() =>
      Number(
        libc.syscall_numbers(SYS_PIDFD_OPEN, BigInt(pid), 0n, 0n, 0n, 0n),
      )
    );
    return fd < 0 ? undefined : new Pidfd(fd);
  }

  /** Sends a signal; gives `false` when the process has ended. */
  signal(name: SignalName): boolean {
    const number = BigInt(SIGNAL_NUMBERS[name]);
    // Without siginfo_t and without flags.
    return callLibc(() =>
      Number(
        libc.syscall_numbers(
          SYS_PIDFD_SEND_SIGNAL,
          BigInt(this.#fd),
          number,
          0n,
          0n,
          0n,
        ),
      )
    ) >= 0;
  }

  /** Closes the descriptor. */
  [Symbol.dispose](): void {
    closeFile(this.#fd);
  }
}
