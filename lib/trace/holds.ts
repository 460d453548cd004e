/**
 * The rules of the kernel for locks of one file: who is in whose way, and what
 * is left of a range when part of it is given back.
 *
 * @module
 */

import type { TracedMode, TracedType } from "./activity.ts";
import type { KnownFile } from "./files.ts";
import type { KnownProcess } from "./processes.ts";

/** A piece of a file; the last byte `undefined` for the largest offset. */
export interface ByteSpan {
  /** First byte. */
  startByte: bigint;
  /** Last byte. */
  endByte: bigint | undefined;
}

/** What a lock that is held and a wish for one have in common. */
export interface Claim extends ByteSpan {
  type: TracedType;
  mode: TracedMode;
  /** The open file or table of files; `undefined` if it was never told. */
  owner: number | undefined;
}

/** A lock that is held. */
export interface Hold extends Claim {
  file: KnownFile;
  /** Who holds it. */
  process: KnownProcess;
  /** Who took it, which /proc/locks tells for ever. */
  takerPid: number;
  threadId: number;
  /** Since when; `undefined` when it was there before the trace. */
  sinceNs: number | undefined;
}

/** A wish for a lock. */
export interface Wish extends Claim {
  owner: number;
}

/** Whether a lock that is held keeps a wish from being granted. */
export function isInTheWay(hold: Claim, wish: Wish): boolean {
  if (hold.mode === "READ" && wish.mode === "READ") return false;
  // flock(2) and record locks know nothing of each other on a local
  // filesystem; a lease is only asked for where nothing else is open.
  if (familyOf(hold.type) !== familyOf(wish.type)) return false;
  if (hold.owner === wish.owner && hold.type === wish.type) return false;
  return overlaps(hold, wish);
}

function familyOf(type: TracedType): string {
  return type === "OFDLCK" ? "POSIX" : type;
}

/** Whether two pieces have a byte in common. */
export function overlaps(a: ByteSpan, b: ByteSpan): boolean {
  return (a.endByte === undefined || b.startByte <= a.endByte) &&
    (b.endByte === undefined || a.startByte <= b.endByte);
}

/** Whether the first piece is all within the second. */
export function isWithin(inner: ByteSpan, outer: ByteSpan): boolean {
  return inner.startByte >= outer.startByte &&
    (outer.endByte === undefined ||
      inner.endByte !== undefined && inner.endByte <= outer.endByte);
}

/** What two overlapping pieces have in common. */
export function intersection(a: ByteSpan, b: ByteSpan): ByteSpan {
  return {
    startByte: a.startByte > b.startByte ? a.startByte : b.startByte,
    endByte: smallerEnd(a.endByte, b.endByte),
  };
}

function smallerEnd(
  a: bigint | undefined,
  b: bigint | undefined,
): bigint | undefined {
  if (a === undefined) return b;
  if (b === undefined) return a;
  return a < b ? a : b;
}

/** What is left of a piece without another that overlaps it. */
export function remainders(piece: ByteSpan, without: ByteSpan): ByteSpan[] {
  const left: ByteSpan[] = [];
  if (piece.startByte < without.startByte) {
    left.push({
      startByte: piece.startByte,
      endByte: without.startByte - 1n,
    });
  }
  if (
    without.endByte !== undefined &&
    (piece.endByte === undefined || piece.endByte > without.endByte)
  ) {
    left.push({ startByte: without.endByte + 1n, endByte: piece.endByte });
  }
  return left;
}
