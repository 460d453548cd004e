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
