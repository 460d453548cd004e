import { callLibc } from "./call.ts";
import { SyscallError } from "./error.ts";
import { closeFile, O_CLOEXEC, readNext } from "./file.ts";
import { libc } from "./libc.ts";
import { sleepUntilReadable } from "./sleep.ts";
import { writeAll } from "./storage/content.ts";

/**
 * The two ends of a pipe that commands don't inherit unless told to.
 *
 * @throws {SyscallError} when there are no more descriptors.
 */
export function openPipe(): { readEnd: number; writeEnd: number } {
  const ends = new Int32Array(2);
  const result = callLibc(() => libc.pipe2(ends, O_CLOEXEC));
  if (result < 0) {
    throw new SyscallError("open a pipe", { syscall: "pipe2", errno: -result });
  }
  return { readEnd: ends[0]!, writeEnd: ends[1]! };
}

/**
 * Writes a line to a pipe. One of at most 4096 bytes arrives whole; see
 * pipe(7).
 *
 * @returns Whether anybody could still read it.
 */
export function writeLine(fd: number, line: string): boolean {
  return writeAll(fd, new TextEncoder().encode(`${line}\n`)) === 0;
}

/** Reads lines from a descriptor, asleep in between. */
export class LineReader {
  readonly #fd: number;
  readonly #chunk = new Uint8Array(4096);
  readonly #decoder = new TextDecoder();
  #text = "";

  /** Reads from an open descriptor. */
  constructor(fd: number) {
    this.#fd = fd;
  }

  /**
   * The next line. This thread sleeps meanwhile.
   *
   * @param timeoutMs For so long; for ever unless given.
   * @returns The line; `null` at the end; `undefined` when the time was up.
   */
  next(timeoutMs = -1): string | null | undefined {
    for (;;) {
      const end = this.#text.indexOf("\n");
      if (end >= 0) {
        const line = this.#text.slice(0, end);
        this.#text = this.#text.slice(end + 1);
        return line;
      }
      if (!sleepUntilReadable(this.#fd, timeoutMs)) return undefined;
      const count = readNext(this.#fd, this.#chunk);
      if (count <= 0) return null;
      this.#text += this.#decoder.decode(this.#chunk.subarray(0, count), {
        stream: true,
      });
    }
  }

  /** Closes the descriptor. */
  close(): void {
    closeFile(this.#fd);
  }
}
