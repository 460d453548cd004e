import { checkBigint, checkOptions } from "../check.ts";
import type { LockMode } from "../flock/flock_fd.ts";
import type {
  ByteRange,
  RecordLockRequest,
} from "../../sys/lock/record_lock.ts";

/** A range by its ends; `endByte` is the last byte, and inclusive. */
export interface ByteSpan {
  /** First byte. */
  startByte: bigint;
  /** Last byte; `undefined` for the largest possible offset. */
  endByte: bigint | undefined;
}

/** Whether two spans have a byte in common. */
export function spansOverlap(a: ByteSpan, b: ByteSpan): boolean {
  return (a.endByte === undefined || b.startByte <= a.endByte) &&
    (b.endByte === undefined || a.startByte <= b.endByte);
}

/** Whether all bytes of one span are bytes of another. */
export function spanCovers(outer: ByteSpan, inner: ByteSpan): boolean {
  return outer.startByte <= inner.startByte &&
    (outer.endByte === undefined ||
      (inner.endByte !== undefined && inner.endByte <= outer.endByte));
}

/** The bytes of two spans that overlap. */
export function joinSpans(a: ByteSpan, b: ByteSpan): ByteSpan {
  return {
    startByte: a.startByte < b.startByte ? a.startByte : b.startByte,
    endByte: a.endByte === undefined || b.endByte === undefined
      ? undefined
      : a.endByte > b.endByte
      ? a.endByte
      : b.endByte,
  };
}

/** What is left of a span without another: none, one or two spans. */
export function subtractSpan(from: ByteSpan, taken: ByteSpan): ByteSpan[] {
  if (!spansOverlap(from, taken)) return [from];
  const rest: ByteSpan[] = [];
  if (from.startByte < taken.startByte) {
    rest.push({ startByte: from.startByte, endByte: taken.startByte - 1n });
  }
  if (
    taken.endByte !== undefined &&
    (from.endByte === undefined || taken.endByte < from.endByte)
  ) {
    rest.push({ startByte: taken.endByte + 1n, endByte: from.endByte });
  }
  return rest;
}

/** The largest offset there is. */
const MAX_OFFSET = 2n ** 63n - 1n;

/**
 * The bytes that a range covers, as the kernel reckons.
 *
 * @param range Counted from the file's start.
 * @throws {RangeError} when it starts before the file or ends beyond the
 * largest possible offset.
 */
export function rangeToSpan(range: ByteRange = {}): ByteSpan {
  checkOptions(range, "range");
  const { startByte = 0n, lengthBytes = 0n } = range;
  checkBigint(startByte, "startByte");
  checkBigint(lengthBytes, "lengthBytes");
  if (startByte < 0n) {
    throw new RangeError(`startByte must be 0 or more, got ${startByte}`);
  }
  if (lengthBytes < 0n) {
    if (startByte + lengthBytes < 0n) {
      throw new RangeError(
        `A range of ${lengthBytes} bytes before ${startByte} starts before ` +
          "the file",
      );
    }
    return { startByte: startByte + lengthBytes, endByte: startByte - 1n };
  }
  const endByte = startByte + lengthBytes - 1n;
  if (startByte > MAX_OFFSET || endByte > MAX_OFFSET) {
    const what = lengthBytes === 0n
      ? `A range from ${startByte} starts`
      : `A range of ${lengthBytes} bytes from ${startByte} ends`;
    throw new RangeError(
      `${what} beyond the largest possible offset, ${MAX_OFFSET}`,
    );
  }
  // The kernel takes the two for the same.
  return lengthBytes === 0n || endByte === MAX_OFFSET
    ? { startByte, endByte: undefined }
    : { startByte, endByte };
}

/** A span as fcntl(2) takes it. */
export function spanToRange({ startByte, endByte }: ByteSpan): ByteRange {
  return {
    startByte,
    lengthBytes: endByte === undefined ? 0n : endByte - startByte + 1n,
  };
}

/** A lock as fcntl(2) is asked for it. */
export function recordLockRequest(
  span: ByteSpan,
  mode: LockMode,
): RecordLockRequest {
  return { type: mode === "shared" ? "read" : "write", ...spanToRange(span) };
}
