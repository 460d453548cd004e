/** Captured texts, and a seeded source of random ones. */

/** The bytes of a captured file, `case/file` under testdata/proc. */
export function captureBytes(path: string): Uint8Array<ArrayBuffer> {
  return Deno.readFileSync(
    new URL(`../testdata/proc/${path}`, import.meta.url),
  );
}

/** The same decoded as a reader decodes it. */
export function capture(path: string): string {
  return new TextDecoder().decode(captureBytes(path));
}

/** A small generator (mulberry32): the same seed gives the same texts. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  /** A number from 0 to 1, without 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** An integer from 0 to `below`, without it. */
  int(below: number): number {
    return Math.floor(this.next() * below);
  }

  /** A non-negative number of up to `bits` bits, small ones often. */
  big(bits: number): bigint {
    let value = 0n;
    for (let i = 0; i < 4; i++) value = value << 16n | BigInt(this.int(65536));
    return BigInt.asUintN(bits, value) >> BigInt(this.int(bits));
  }

  pick<T>(values: readonly T[]): T {
    return values[this.int(values.length)]!;
  }

  /** A list of up to `most` made values. */
  list<T>(most: number, make: () => T): T[] {
    return Array.from({ length: this.int(most + 1) }, make);
  }

  /** A text of up to `most` characters, among them hard ones. */
  text(most: number): string {
    return this.list(
      most,
      () =>
        this.pick([
          ..."abcXYZ019/._-:=",
          " ",
          "\t",
          "\n",
          "\\",
          ",",
          '"',
          "(",
          ")",
          "#",
          "é",
          "日",
          "😀",
          "\x1b",
          "\u202e",
          "\ufffd",
          "\ufeff",
        ]),
    ).join(
      "",
    );
  }

  /** The bytes with a few of them flipped, cut off, or lines spliced. */
  mutate(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
    let result = Uint8Array.from(bytes);
    for (let i = this.int(4); i >= 0; i--) {
      const at = this.int(result.length + 1);
      const other = this.int(result.length + 1);
      switch (this.int(4)) {
        case 0:
          if (at < result.length) result[at]! ^= 1 << this.int(8);
          break;
        case 1:
          if (at < result.length) {
            result[at] = this.pick([..." \n\r\t:->0EOF\\,()\0"]).charCodeAt(0);
          }
          break;
        case 2:
          result = result.slice(0, at);
          break;
        case 3:
          // The end of one piece follows the start of another: a torn read.
          result = Uint8Array.from([
            ...result.subarray(0, at),
            ...result.subarray(other),
          ]);
      }
    }
    return result;
  }
}

/** Lines that hold more than blanks. */
export function countLines(text: string): number {
  return text.split("\n").filter((line) => /[^ \t\r]/.test(line)).length;
}
