/**
 * Threads of the C library that make a few C calls.
 *
 * @module
 */

import { bindLazily } from "../libc.ts";
import {
  CONTEXT_SIZE,
  functionAddress,
  isContextLayoutRight,
  type LaterCall,
  type Memory,
  sliceMemory,
  UserContext,
} from "./user_context.ts";

const threads = bindLazily({
  // void *mmap(void addr[], size_t length, int prot, int flags, int fd,
  //            off_t offset)
  mmap: {
    parameters: ["u64", "usize", "i32", "i32", "i32", "i64"],
    result: "u64",
  },
  // int mprotect(void addr[], size_t size, int prot)
  mprotect: { parameters: ["u64", "usize", "i32"], result: "i32" },
  // int munmap(void addr[], size_t length)
  munmap: { parameters: ["u64", "usize"], result: "i32" },
  // int pthread_attr_init(pthread_attr_t *attr)
  pthread_attr_init: { parameters: ["buffer"], result: "i32" },
  // int pthread_attr_setstack(pthread_attr_t *attr, void stackaddr[],
  //                           size_t stacksize)
  pthread_attr_setstack: {
    parameters: ["buffer", "u64", "usize"],
    result: "i32",
  },
  // int pthread_create(pthread_t *thread, const pthread_attr_t *attr,
  //                    void *(*start_routine)(void *), void *arg)
  pthread_create: {
    parameters: ["buffer", "buffer", "u64", "u64"],
    result: "i32",
  },
  // int pthread_kill(pthread_t thread, int sig)
  pthread_kill: { parameters: ["u64", "i32"], result: "i32" },
  // int pthread_tryjoin_np(pthread_t thread, void **retval)
  pthread_tryjoin_np: { parameters: ["u64", "u64"], result: "i32" },
});

const PROT_NONE = 0;
const PROT_READ_WRITE = 3;
// MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK
const MAP_FLAGS = 0x2 | 0x20 | 0x4000 | 0x20000;
const MAP_FAILED = 2n ** 64n - 1n;

/* What a thread's memory holds, from its lowest address: a guard, as large as
 * any page; the stack of the calls, with room for the frame of a signal (12
 * KiB with AVX-512 and AMX); the thread's own stack, with the thread-local
 * variables of all libraries; and what is read and written from here. Pages
 * that are never touched take no memory. */
const GUARD_SIZE = 64 * 1024;
const CALL_STACK_SIZE = 64 * 1024;
const THREAD_STACK_SIZE = 128 * 1024;
const SCRATCH_SIZE = 128;
const FEW_CALLS = 4;

function memorySize(calls: number): number {
  return GUARD_SIZE + CALL_STACK_SIZE + THREAD_STACK_SIZE + SCRATCH_SIZE +
    calls * CONTEXT_SIZE;
}

/* The calls share a stack, at whose top makecontext(3) lays what each will
 * need. The first call starts lowest, which leaves that of the others alone. */
const STACK_STEP = 256;

/** At least sizeof(pthread_attr_t): 56 on x86-64, 64 on aarch64. */
const ATTRIBUTES_SIZE = 128;

/** Unused memory that is kept for the next thread. */
const MAX_IDLE = 16;

const idle: CallThread[] = [];
const ending = new Set<CallThread>();
let isPossible: boolean | undefined;

/**
 * A thread of a few calls that isn't started yet.
 *
 * @returns `undefined` where there can't be any: this C library has other
 * contexts than glibc, or there is no memory.
 */
export function takeThread(): CallThread | undefined {
  joinEnding();
  return idle.pop() ?? makeThread(FEW_CALLS - 1);
}

/**
 * A thread of any number of calls, which is never taken back.
 *
 * @param calls How many, besides pthread_exit(3).
 */
export function makeThread(calls: number): CallThread | undefined {
  isPossible ??= canMakeThreads();
  const memory = isPossible ? mapMemory(memorySize(calls + 1)) : undefined;
  return memory && new CallThread(memory, calls + 1);
}

function canMakeThreads(): boolean {
  try {
    functionAddress("setcontext");
    return isContextLayoutRight();
  } catch (error) {
    // It has no such function.
    if (error instanceof TypeError) return false;
    throw error;
  }
}

function mapMemory(size: number): Memory | undefined {
  const length = BigInt(size);
  const address = threads.mmap(0n, length, PROT_READ_WRITE, MAP_FLAGS, -1, 0n);
  if (address === MAP_FAILED) return undefined;
  threads.mprotect(address, BigInt(GUARD_SIZE), PROT_NONE);
  const pointer = Deno.UnsafePointer.create(address)!;
  return {
    bytes: new Uint8Array(
      Deno.UnsafePointerView.getArrayBuffer(pointer, size),
    ),
    address,
  };
}

/** Takes back the memory of the threads that are gone. */
function joinEnding(): void {
  for (const thread of ending) {
    if (!thread.tryJoin()) continue;
    ending.delete(thread);
    thread.putBack();
  }
}

/** A thread that makes some calls and ends. */
export class CallThread {
  /** Zeroed bytes that the calls may point to. */
  readonly scratch: Memory;
  readonly #memory: Memory;
  readonly #callStack: Memory;
  readonly #threadStack: Memory;
  readonly #contexts: readonly UserContext[];
  readonly #id = new BigUint64Array(1);

  /** Made by {@linkcode takeThread}. */
  constructor(memory: Memory, calls: number) {
    let used = 0;
    const take = (size: number) => {
      used += size;
      return sliceMemory(memory, used - size, size);
    };
    this.#memory = memory;
    take(GUARD_SIZE);
    this.#callStack = take(CALL_STACK_SIZE);
    this.#threadStack = take(THREAD_STACK_SIZE);
    this.scratch = take(SCRATCH_SIZE);
    this.#contexts = Array.from(
      { length: calls },
      () => new UserContext(take(CONTEXT_SIZE)),
    );
  }

  /**
   * Starts the thread.
   *
   * @param calls What it does, before it ends by pthread_exit(3).
   * @returns Whether it has been started. There may be too many threads, or
   * the libraries of this process need more than its stack for themselves.
   */
  start(calls: readonly LaterCall[]): boolean {
    const all = [...calls, { name: "pthread_exit", args: [0] }];
    all.forEach((call, index) => this.change(index, call));
    const attributes = new Uint8Array(ATTRIBUTES_SIZE);
    threads.pthread_attr_init(attributes);
    const errno = threads.pthread_attr_setstack(
      attributes,
      this.#threadStack.address,
      BigInt(THREAD_STACK_SIZE),
    ) || threads.pthread_create(
      this.#id,
      attributes,
      functionAddress("setcontext"),
      this.#contexts[0]!.address,
    );
    if (errno !== 0) this.putBack();
    return errno === 0;
  }

  /** Replaces one of its calls before the thread gets to it. */
  change(index: number, call: LaterCall): void {
    const step = (this.#contexts.length - 1 - index) * STACK_STEP;
    const stack = sliceMemory(this.#callStack, 0, CALL_STACK_SIZE - step);
    this.#contexts[index]!.make(call, stack, this.#contexts[index + 1]);
  }

  /**
   * Sends the started thread a signal.
   *
   * @returns 0, or the error number: EAGAIN when it can't be queued.
   */
  signal(number: number): number {
    return threads.pthread_kill(this.#id[0]!, number);
  }

  /**
   * Has the memory taken back once the thread is gone. That must be soon: at
   * most its last call may be left to make.
   */
  release(): void {
    ending.add(this);
    joinEnding();
  }

  /** Whether the thread is gone, and has been waited for. */
  tryJoin(): boolean {
    return threads.pthread_tryjoin_np(this.#id[0]!, 0n) === 0;
  }

  /** Has the memory used for another thread, while none uses it. */
  putBack(): void {
    this.scratch.bytes.fill(0);
    if (idle.length < MAX_IDLE) {
      idle.push(this);
      return;
    }
    const { address, bytes } = this.#memory;
    threads.munmap(address, BigInt(bytes.length));
  }
}
