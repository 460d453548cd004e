/**
 * A page of the kernel's trace ring buffer, as `trace_pipe_raw` gives it.
 *
 * Bytes in, values out: nothing is read and no permission is needed. Only
 * little-endian kernels are understood: x86-64 and aarch64 are.
 *
 * @module
 */
import type { PageLayout } from "./event_format.ts";

/** Bytes of one page, seen as numbers of three widths. */
export interface PageBytes {
  /** The bytes. */
  bytes: Uint8Array<ArrayBuffer>;
  /** The same memory in units of four bytes. */
  words: Uint32Array<ArrayBuffer>;
  /** The same memory for numbers of any width. */
  view: DataView<ArrayBuffer>;
}

/** Makes room for a page of at most so many bytes, a multiple of eight. */
export function allocatePage(size: number): PageBytes {
  const bytes = new Uint8Array(size);
  return {
    bytes,
    words: new Uint32Array(bytes.buffer),
    view: new DataView(bytes.buffer),
  };
}

/** What a page says besides its events. */
export interface PageSummary {
  /**
   * Events that were overwritten just before those of this page; `undefined`
   * when some were and the page had no room for their number.
   */
  lost: number | undefined;
  /** Whether the page was read to its end; false for a damaged one. */
  complete: boolean;
}

/* include/linux/ring_buffer.h, enum ring_buffer_type. */
const MAX_SMALL_EVENT = 28;
const PADDING = 29;
const TIME_EXTEND = 30;
const TIME_STAMP = 31;

/* kernel/trace/ring_buffer.c: RB_MISSED_EVENTS and RB_MISSED_STORED. */
const MISSED = 0x8000_0000;
const MISSED_STORED = 0x4000_0000;
const LENGTH_MASK = 0x3fff_ffff;

const DELTA_BITS = 27;
const DELTA_UNIT = 2 ** DELTA_BITS;
/** An absolute time has 59 bits; the upper five are the page's. */
const STAMP_BITS = 59n;

/**
 * Called for each event.
 *
 * @param offset First byte of the event in the page.
 * @param length Its length in bytes, rounded up to four.
 * @param timeNs Its time, counted from the base.
 */
export type EventVisitor = (
  offset: number,
  length: number,
  timeNs: number,
) => void;

/**
 * Calls a function for each event of a page, in order.
 *
 * ```text
 * u64 time | u64 length, bit 31: lost, bit 30: number of lost follows | data
 * data:  u32 (5 bits kind, 27 bits ns since the event before) | …
 * kind 1…28: 4 × kind bytes of event      0: u32 length + 4, event
 *      29: padding, or an event taken back   30: u32 upper bits of the ns
 *      31: u32 upper bits of an absolute time
 * ```
 *
 * See the comment on struct ring_buffer_event in include/linux/ring_buffer.h.
 *
 * @param page The page; its first byte is the page's.
 * @param byteLength How many bytes of it were read.
 * @param layout Where its parts are.
 * @param baseNs The time that is to be 0, in nanoseconds: a double counts them
 * exactly for 104 days.
 * @param visit Called for each event.
 * @returns What else the page says.
 */
export function walkRingPage(
  page: PageBytes,
  byteLength: number,
  layout: PageLayout,
  baseNs: bigint,
  visit: EventVisitor,
): PageSummary {
  const { words, view } = page;
  const { timestampOffset, commitOffset, dataOffset } = layout;
  if (byteLength < dataOffset) return { lost: 0, complete: false };
  const pageTime = view.getBigUint64(timestampOffset, true);
  let timeNs = Number(pageTime - baseNs);
  const commit = view.getUint32(commitOffset, true);
  const end = dataOffset + (commit & LENGTH_MASK);
  if (end > byteLength) return { lost: 0, complete: false };
  const lost = readLost(page, commit, end, byteLength);

  let at = dataOffset;
  while (at + 4 <= end) {
    const head = words[at >>> 2]!;
    const kind = head & 31;
    const delta = head >>> 5;
    if (kind <= MAX_SMALL_EVENT) {
      timeNs += delta;
      const isLarge = kind === 0;
      // The length of a large event counts its own four bytes.
      const length = isLarge ? words[(at >>> 2) + 1]! - 4 : kind * 4;
      const start = at + (isLarge ? 8 : 4);
      if (length < 4 || start + length > end) return { lost, complete: false };
      visit(start, length, timeNs);
      at = start + length + 3 & ~3;
    } else if (kind === PADDING) {
      // Without a delta the rest of the page is empty.
      if (delta === 0) break;
      timeNs += delta;
      at += 4 + (words[(at >>> 2) + 1]! + 3 & ~3);
    } else {
      const upper = words[(at >>> 2) + 1]!;
      if (kind === TIME_EXTEND) {
        timeNs += upper * DELTA_UNIT + delta;
      } else if (kind === TIME_STAMP) {
        const low = BigInt(upper) << BigInt(DELTA_BITS) | BigInt(delta);
        const high = pageTime >> STAMP_BITS << STAMP_BITS;
        timeNs = Number((high | low) - baseNs);
      }
      at += 8;
    }
  }
  return { lost, complete: true };
}

function readLost(
  { view }: PageBytes,
  commit: number,
  end: number,
  byteLength: number,
): number | undefined {
  if ((commit & MISSED) === 0) return 0;
  if ((commit & MISSED_STORED) === 0 || end + 8 > byteLength) return undefined;
  return Number(view.getBigUint64(end, true));
}
