/**
 * What a Worker has open, closed when it is terminated.
 *
 * Descriptors belong to the process: those of a Worker that is terminated
 * would stay open, and the locks held by them, until the process ends.
 * JavaScript isn't told, but the kernel knows when a thread ends: it passes on
 * a robust mutex that the thread has locked; see
 * pthread_mutexattr_setrobust(3). Another thread sleeps until then, and closes
 * what is left.
 *
 * @module
 */

import { watchDescriptors } from "../file.ts";
import { bindLazily } from "../libc.ts";
import { type CallThread, makeThread } from "./call_thread.ts";

const mutexes = bindLazily({
  // int pthread_mutexattr_init(pthread_mutexattr_t *attr)
  pthread_mutexattr_init: { parameters: ["buffer"], result: "i32" },
  // int pthread_mutexattr_setrobust(pthread_mutexattr_t *attr, int robustness)
  pthread_mutexattr_setrobust: {
    parameters: ["buffer", "i32"],
    result: "i32",
  },
  // int pthread_mutex_init(pthread_mutex_t *mutex,
  //                        const pthread_mutexattr_t *attr)
  pthread_mutex_init: { parameters: ["u64", "buffer"], result: "i32" },
  // int pthread_mutex_lock(pthread_mutex_t *mutex)
  pthread_mutex_lock: { parameters: ["u64"], result: "i32" },
});

const PTHREAD_MUTEX_ROBUST = 1;

/** At least sizeof(pthread_mutexattr_t), which is 4 or 8. */
const ATTRIBUTES_SIZE = 64;

/** A Worker that has more open keeps the rest until the process ends. */
const MAX_DESCRIPTORS = 100;

let isStarted = false;

/** From now on, what this Worker opens is closed when it ends. */
export function closeWithWorker(): void {
  if (isStarted) return;
  isStarted = true;
  const thread = makeThread(1 + MAX_DESCRIPTORS);
  if (thread !== undefined && start(thread)) {
    watchDescriptors(new OpenDescriptors(thread));
  }
}

function start(thread: CallThread): boolean {
  const { address } = thread.scratch;
  const attributes = new Uint8Array(ATTRIBUTES_SIZE);
  mutexes.pthread_mutexattr_init(attributes);
  mutexes.pthread_mutexattr_setrobust(attributes, PTHREAD_MUTEX_ROBUST);
  mutexes.pthread_mutex_init(address, attributes);
  mutexes.pthread_mutex_lock(address);
  return thread.start([
    { name: "pthread_mutex_lock", args: [address] },
    ...Array.from({ length: MAX_DESCRIPTORS }, () => closing(NONE)),
  ]);
}

/** close(2) refuses it, and that is all. */
const NONE = -1;

const closing = (fd: number) => ({ name: "close", args: [fd] });

/** The calls of the other thread: each closes a descriptor, or none. */
class OpenDescriptors {
  readonly #thread: CallThread;
  readonly #calls = new Map<number, number>();
  readonly #free = Array.from({ length: MAX_DESCRIPTORS }, (_, i) => 1 + i);

  constructor(thread: CallThread) {
    this.#thread = thread;
  }

  opened(fd: number): void {
    const call = this.#free.pop();
    if (call === undefined) return;
    this.#calls.set(fd, call);
    this.#thread.change(call, closing(fd));
  }

  /** Before it is closed: its number may be another thread's soon. */
  closed(fd: number): void {
    const call = this.#calls.get(fd);
    if (call === undefined) return;
    this.#thread.change(call, closing(NONE));
    this.#calls.delete(fd);
    this.#free.push(call);
  }
}
