import { rangeToSpan } from "../../lib/lock/record/byte_span.ts";
import type { ByteRange } from "../../lib/lock/record/record_lock.ts";
import { UsageError } from "./parse.ts";

const RANGE = /^(\d+|0x[0-9a-f]+)(?::(-?)(\d+|0x[0-9a-f]+))?$/i;

/**
 * Reads a range of bytes: `START:LENGTH`, each decimal or hexadecimal (0x).
 * Without a length, or with 0, it has no end; with a negative one it ends
 * before START.
 *
 * @throws {UsageError} when it is nothing of the kind, or there is no such
 * range.
 */
export function parseByteRange(text: string): ByteRange {
  const match = RANGE.exec(text);
  if (match === null) {
    throw new UsageError(`invalid range: '${text}'`, {
      hint: "Write START:LENGTH in bytes: 0:1, 100:10, 0x40000000:1, 100:0",
    });
  }
  const [, start = "0", sign, length = "0"] = match;
  const range = {
    startByte: BigInt(start),
    lengthBytes: sign === "-" ? -BigInt(length) : BigInt(length),
  };
  try {
    rangeToSpan(range);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new UsageError(`invalid range: '${text}'`, { hint: error.message });
  }
  return range;
}
