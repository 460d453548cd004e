/** Builds pages as the kernel's ring buffer lays them out. */
import {
  allocatePage,
  type PageBytes,
} from "../../../lib/proc/trace/ring_page.ts";

const HEADER = 16;
const SIZE = 4096;

/** A page with a 64-bit length, little-endian. */
export class PageWriter {
  readonly page: PageBytes = allocatePage(SIZE);
  #at = HEADER;

  constructor(timeNs: bigint) {
    this.page.view.setBigUint64(0, timeNs, true);
  }

  /** An event of at most 112 bytes. */
  small(delta: number, data: Uint8Array): this {
    this.#word(delta << 5 | data.length / 4);
    return this.#bytes(data);
  }

  /** An event with its length in a word of its own. */
  large(delta: number, data: Uint8Array): this {
    this.#word(delta << 5);
    this.#word(data.length + 4);
    return this.#bytes(data);
  }

  /** A time that the 27 bits of an event can't hold. */
  timeExtend(delta: number): this {
    return this.#longTime(30, BigInt(delta));
  }

  /** An absolute time. */
  timeStamp(timeNs: bigint): this {
    return this.#longTime(31, timeNs & (1n << 59n) - 1n);
  }

  /** An event that was taken back. */
  discarded(delta: number, length: number): this {
    this.#word(delta << 5 | 29);
    this.#word(length);
    return this.#bytes(new Uint8Array(length - 4));
  }

  /** Ends the data; the rest of the page is empty. */
  padding(): this {
    this.#word(29);
    return this;
  }

  /** Writes the length, and the number of lost events unless it is not told. */
  finish(lost?: bigint | "untold"): { page: PageBytes; length: number } {
    const { view } = this.page;
    let commit = this.#at - HEADER;
    if (lost !== undefined) commit |= 1 << 31;
    if (typeof lost === "bigint") {
      commit |= 1 << 30;
      view.setBigUint64(this.#at, lost, true);
    }
    view.setUint32(8, commit >>> 0, true);
    return { page: this.page, length: SIZE };
  }

  #word(value: number): void {
    this.page.view.setUint32(this.#at, value >>> 0, true);
    this.#at += 4;
  }

  #longTime(kind: number, value: bigint): this {
    this.#word(Number(value & (1n << 27n) - 1n) * 32 + kind);
    this.#word(Number(value >> 27n));
    return this;
  }

  #bytes(data: Uint8Array): this {
    this.page.bytes.set(data, this.#at);
    this.#at += data.length;
    return this;
  }
}
