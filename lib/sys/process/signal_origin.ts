/**
 * Who sent a signal: the terminal, or a process.
 *
 * The runtime's handlers are told by the kernel (siginfo_t of sigaction(2)) and
 * tell nobody. But what the kernel tells it writes on the handler's stack; and
 * where that is an alternate stack, sigaltstack(2), it is still there when the
 * handler has returned, to be read like any memory.
 *
 * A signal for the process is handled by its main thread wherever that can take
 * it, which is the one that this module must be used on.
 *
 * @module
 */

import { libc } from "../libc.ts";
import { SIGACTION_SIZE, SIGNAL_NUMBERS, type SignalName } from "./signals.ts";

/** Who sent a signal; `undefined` when that isn't known. */
export type SignalOrigin = "kernel" | "process" | undefined;

/* Offsets of glibc on x86-64 and aarch64: sa_flags in struct sigaction, and
 * si_signo, si_errno, si_code, si_pid in siginfo_t, in words of 32 bits. */
const SA_FLAGS = 136;
const SA_ONSTACK = 0x0800_0000;
const SI_ERRNO = 1;
const SI_CODE = 2;
const SI_PID = 4;
/** A terminal's signals come from the kernel itself. */
const SI_KERNEL = 0x80;
/** kill(2), sigqueue(3), tgkill(2). */
const FROM_PROCESS: readonly number[] = [0, -1, -6];
/** The largest process id that Linux gives; see proc_sys_kernel(5). */
const MAX_PID = 2 ** 22;

/** With room for every register there is: AMX alone has 8 KiB. */
const STACK_SIZE = 128 * 1024;

/** Remembers where signals came from. */
export class SignalOrigins {
  /* As long as this thread lives: the kernel knows the address. */
  static #stack: Int32Array<ArrayBuffer> | undefined;

  /** Gives this thread an alternate stack. */
  constructor() {
    if (SignalOrigins.#stack !== undefined) return;
    const stack = new Int32Array(STACK_SIZE / 4);
    const address = Deno.UnsafePointer.value(Deno.UnsafePointer.of(stack));
    // stack_t: ss_sp, ss_flags (and padding), ss_size
    const description = BigUint64Array.of(address, 0n, BigInt(STACK_SIZE));
    if (libc.sigaltstack(description, null) === 0) {
      SignalOrigins.#stack = stack;
    }
  }

  /** Has the handler that a signal has now use the alternate stack. */
  watch(name: SignalName): void {
    const number = SIGNAL_NUMBERS[name];
    const action = new Uint8Array(SIGACTION_SIZE);
    libc.sigaction(number, null, action);
    const view = new DataView(action.buffer);
    view.setInt32(SA_FLAGS, view.getInt32(SA_FLAGS, true) | SA_ONSTACK, true);
    libc.sigaction(number, action, null);
  }

  /**
   * Who sent the last one of a signal, and forgets it.
   *
   * While one is pending, another of the same is dropped, and with it who sent
   * it: signal(7). An INT for this process alone, just behind a typed one, can't
   * be seen by any means.
   */
  take(name: SignalName): SignalOrigin {
    const stack = SignalOrigins.#stack;
    if (stack === undefined) return undefined;
    const number = SIGNAL_NUMBERS[name];
    let origin: SignalOrigin;
    // siginfo_t is aligned to eight bytes.
    for (let at = 0; at + SI_PID < stack.length; at += 2) {
      if (stack[at] !== number || stack[at + SI_ERRNO] !== 0) continue;
      const [code, pid] = [stack[at + SI_CODE]!, stack[at + SI_PID]!];
      if (code === SI_KERNEL) origin = "kernel";
      else if (FROM_PROCESS.includes(code) && pid > 0 && pid <= MAX_PID) {
        origin ??= "process";
      } else continue;
      stack[at] = 0;
    }
    return origin;
  }
}
