/**
 * Reads that may take as long as a file server likes: on a thread of the C
 * library, which tells the error number too.
 *
 * @module
 */

import { EINPROGRESS, ENOMEM } from "../errno.ts";
import { bindLazily } from "../libc.ts";
import { callLibc } from "../call.ts";
import { closeFile } from "../file.ts";
import { duplicate, openFlags, setOpenFlags } from "../process/descriptors.ts";

const aio = bindLazily({
  // void *calloc(size_t nelem, size_t elsize)
  calloc: { parameters: ["usize", "usize"], result: "pointer" },
  // void free(void *ptr)
  free: { parameters: ["pointer"], result: "void" },
  // int aio_read(struct aiocb *aiocbp)
  aio_read: { parameters: ["pointer"], result: "i32" },
  // int aio_error(const struct aiocb *aiocbp)
  aio_error: { parameters: ["pointer"], result: "i32" },
  // ssize_t aio_return(struct aiocb *aiocbp)
  aio_return: { parameters: ["pointer"], result: "isize" },
});

/* struct aiocb of glibc on 64 bits, the same for both architectures: the
 * descriptor at 0, the buffer's address at 16, its length at 24, sigev_notify
 * at 44, the offset at 128. */
const AIOCB_SIZE = 168;
const SIGEV_NONE = 1;

const O_DIRECT = Deno.build.arch === "aarch64" ? 0o200000 : 0o40000;

/** How often a read is looked at that nobody waits for. */
const DROPPED_LOOK_MS = 100;

/**
 * One byte that is being read, through a descriptor of its own: the other may
 * be closed before the thread comes to read, and its number be a socket's, from
 * which it would take a byte. See aio_read(3).
 */
export class BackgroundRead {
  /* The thread writes into it, the byte at its end, and may do so after the
   * Worker that asked has been terminated: it isn't JavaScript's to free. */
  #block: Deno.PointerValue = null;
  readonly #fd: number;
  #result: number | undefined;

  /** Starts to read the first byte. */
  constructor(fd: number) {
    this.#fd = duplicate(fd);
    if (this.#fd < 0) {
      this.#result = this.#fd;
      return;
    }
    this.#block = aio.calloc(1n, BigInt(AIOCB_SIZE + 1));
    if (this.#block === null) {
      this.#end(-ENOMEM);
      return;
    }
    const block = new DataView(
      Deno.UnsafePointerView.getArrayBuffer(this.#block, AIOCB_SIZE),
    );
    const byte = Deno.UnsafePointer.value(this.#block) + BigInt(AIOCB_SIZE);
    block.setInt32(0, this.#fd, true);
    block.setBigUint64(16, byte, true);
    block.setBigUint64(24, 1n, true);
    block.setInt32(44, SIGEV_NONE, true);
    const errno = -callLibc(() => aio.aio_read(this.#block));
    if (errno > 0) this.#end(-errno);
  }

  /**
   * How many bytes there were, 0 or 1, or minus the error number; `undefined`
   * while the answer isn't there.
   */
  get result(): number | undefined {
    if (this.#result !== undefined) return this.#result;
    const errno = aio.aio_error(this.#block);
    if (errno === EINPROGRESS) return undefined;
    const count = Number(aio.aio_return(this.#block));
    return this.#end(errno === 0 ? count : -errno);
  }

  /** Nobody waits for it any more: it is tidied up when it has ended. */
  drop(): void {
    if (this.result !== undefined) return;
    Deno.unrefTimer(setTimeout(() => this.drop(), DROPPED_LOOK_MS));
  }

  #end(result: number): number {
    aio.free(this.#block);
    closeFile(this.#fd);
    return this.#result = result;
  }
}

/**
 * Has reads through a descriptor ask the file server each time, or not. See
 * O_DIRECT in open(2). Where a filesystem can't, nothing changes.
 */
export function setDirect(fd: number, direct: boolean): void {
  const flags = openFlags(fd);
  if (flags < 0) return;
  setOpenFlags(fd, direct ? flags | O_DIRECT : flags & ~O_DIRECT);
}
