/**
 * C calls that are yet to be made: user contexts, as makecontext(3) makes them.
 *
 * A context has a function, its arguments, the stack and the signal mask to
 * call it with, and a link to the context that follows when it has returned.
 * setcontext(3) starts such a chain: a small program that needs neither
 * JavaScript nor a compiler.
 *
 * @module
 */

import { cString } from "../call.ts";
import { bindLazily, libc } from "../libc.ts";

/* Addresses are declared as numbers, for most are made by adding. */
const contexts = bindLazily({
  // int getcontext(ucontext_t *ucp)
  getcontext: { parameters: ["u64"], result: "i32" },
  // void makecontext(ucontext_t *ucp, void (*func)(void), int argc, ...)
  makecontext: {
    parameters: ["u64", "u64", "i32", "u64", "u64", "u64"],
    result: "void",
  },
});

/** A call to be made. What it returns is lost. */
export interface LaterCall {
  /** The name of the C function. */
  readonly name: string;
  /** Up to three integers or addresses. */
  readonly args: readonly (number | bigint)[];
  /** The signals let through while it is made. */
  readonly signals?: readonly number[];
}

/** Offsets in ucontext_t of glibc, and its size. */
interface ContextLayout {
  readonly uc_link: number;
  readonly ss_sp: number;
  readonly ss_size: number;
  readonly uc_sigmask: number;
  readonly size: number;
}

/** The layouts by architecture, from sys/ucontext.h of each. */
export const CONTEXT_LAYOUTS: Readonly<
  Record<typeof Deno.build.arch, ContextLayout>
> = {
  x86_64: { uc_link: 8, ss_sp: 16, ss_size: 32, uc_sigmask: 296, size: 968 },
  aarch64: { uc_link: 8, ss_sp: 16, ss_size: 32, uc_sigmask: 40, size: 4560 },
};

const layout = CONTEXT_LAYOUTS[Deno.build.arch];

/** The bytes of a context. */
export const CONTEXT_SIZE = layout.size;

const SIG_BLOCK = 0;
const SIG_SETMASK = 2;
/** sigset_t of glibc; the kernel looks at its first 64 bits. */
const SIGSET_WORDS = 128 / 8;

/* glibc's own signals: to cancel a thread, and to have every thread take part
 * in setuid(2), which would wait for ever for one that blocks it. */
const LIBRARY_SIGNALS = [32, 33];

/** A piece of memory that C code may use. */
export interface Memory {
  /** Its bytes. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The address of the first one. */
  readonly address: bigint;
}

/** A part of some memory. */
export function sliceMemory(
  { bytes, address }: Memory,
  start: number,
  length: number,
): Memory {
  return {
    bytes: bytes.subarray(start, start + length),
    address: address + BigInt(start),
  };
}

/** One context. */
export class UserContext {
  readonly #address: bigint;
  readonly #view: DataView;

  /** @param memory {@linkcode CONTEXT_SIZE} bytes. */
  constructor({ bytes, address }: Memory) {
    this.#address = address;
    this.#view = new DataView(
      bytes.buffer,
      bytes.byteOffset,
      bytes.byteLength,
    );
    contexts.getcontext(address);
  }

  /** What setcontext(3) takes. */
  get address(): bigint {
    return this.#address;
  }

  /**
   * Makes it the context of a call.
   *
   * @param call The call.
   * @param stack Where it is made.
   * @param next What follows; without it the process would exit.
   */
  make(call: LaterCall, stack: Memory, next?: UserContext): void {
    const { name, args, signals = [] } = call;
    this.#put(layout.uc_link, next?.address ?? 0n);
    this.#put(layout.ss_sp, stack.address);
    this.#put(layout.ss_size, BigInt(stack.bytes.length));
    this.#put(layout.uc_sigmask, allBut([...LIBRARY_SIGNALS, ...signals]));
    const [a = 0n, b = 0n, c = 0n] = args.map(BigInt);
    const address = functionAddress(name);
    contexts.makecontext(this.#address, address, args.length, a, b, c);
  }

  #put(offset: number, value: bigint): void {
    this.#view.setBigUint64(offset, value, true);
  }
}

/** A set of all signals but some. */
function allBut(signals: readonly number[]): bigint {
  return signals.reduce(
    (mask, signal) => mask & ~(1n << BigInt(signal - 1)),
    2n ** 64n - 1n,
  );
}

const functionAddresses = new Map<string, bigint>();

/** The address of a C function of the libraries that are loaded. */
export function functionAddress(name: string): bigint {
  let address = functionAddresses.get(name);
  if (address === undefined) {
    const pointer = libc.dlsym(null, cString(name));
    if (pointer === null) throw new TypeError(`There is no C function ${name}`);
    address = Deno.UnsafePointer.value(pointer);
    functionAddresses.set(name, address);
  }
  return address;
}

/**
 * Whether contexts are laid out here as {@linkcode CONTEXT_LAYOUTS} has it:
 * what getcontext(3) and makecontext(3) write is looked for where it should
 * be. A wrong guess would have a thread jump anywhere.
 *
 * Signals are blocked for this moment alone, and only real-time signals, which
 * the kernel queues.
 */
export function isContextLayoutRight(): boolean {
  const context = ownMemory(CONTEXT_SIZE);
  const stack = ownMemory(4096);
  const next = ownMemory(CONTEXT_SIZE);
  const words = wordsOf(context);
  let made: UserContext;
  const mask = withSignalsBlocked(() => made = new UserContext(context));
  if (words[layout.uc_sigmask / 8] !== mask) return false;
  made!.make({ name: "getpid", args: [] }, stack, new UserContext(next));
  const registers = words.subarray(layout.ss_size / 8 + 1);
  const { address } = stack;
  return registers.includes(functionAddress("getpid")) &&
    registers.some((word) => word > address && word <= address + 4096n) &&
    // In a register, or on the stack.
    [...registers, ...wordsOf(stack)].includes(next.address);
}

function wordsOf({ bytes }: Memory): BigUint64Array {
  return new BigUint64Array(bytes.buffer);
}

/** Zeroed bytes of JavaScript's own. */
function ownMemory(size: number): Memory {
  const bytes = new Uint8Array(size);
  return {
    bytes,
    address: Deno.UnsafePointer.value(Deno.UnsafePointer.of(bytes)),
  };
}

/** Some of the real-time signals, in no regular pattern. */
const SOME_SIGNALS = 0x5a3c_9b18_0000_0000n;

/** Calls a function with a signal mask like no other, and tells the mask. */
function withSignalsBlocked(call: () => unknown): bigint {
  const [some, before, now] = Array.from(
    { length: 3 },
    () => new BigUint64Array(SIGSET_WORDS),
  ) as [BigUint64Array<ArrayBuffer>, ...BigUint64Array<ArrayBuffer>[]];
  some[0] = SOME_SIGNALS;
  libc.sigprocmask(SIG_BLOCK, some, before!);
  libc.sigprocmask(SIG_BLOCK, null, now!);
  call();
  libc.sigprocmask(SIG_SETMASK, before!, null);
  return now![0]!;
}
