import { UsageError } from "./parse.ts";

const SIZE =
  /^(0x[0-9a-f]+(?![0-9a-f.])|\d+)(?:\.(\d+))?([kmgtpezy])?(ib|b)?$/i;
const POWERS = "kmgtpezy";

/**
 * Reads a number of bytes as util-linux does: `K` and `KiB` are 1024, `KB` is
 * 1000, and so on for M, G, T, P, E, Z and Y; fractions need a unit.
 *
 * @param text What the user wrote.
 * @param what What the message calls it: `invalid as start offset`.
 * @returns The bytes, less than 2^63, the largest file offset.
 * @throws {UsageError} when it is not a size, negative, or too large.
 */
export function parseSize(text: string, what = "invalid size"): bigint {
  const match = SIZE.exec(text);
  const [, whole, fraction, power, suffix] = match ?? [];
  const malformed = whole === undefined ||
    (power === undefined && (suffix !== undefined || fraction !== undefined));
  if (!malformed) {
    const base = suffix?.toLowerCase() === "b" ? 1000n : 1024n;
    const exponent = power === undefined
      ? 0
      : POWERS.indexOf(power.toLowerCase()) + 1;
    const unit = base ** BigInt(exponent);
    const bytes = BigInt(whole) * unit +
      BigInt(fraction ?? 0) * unit / 10n ** BigInt(fraction?.length ?? 0);
    if (bytes < 2n ** 63n) return bytes;
  }
  throw new UsageError(`${what}: '${text}'`, {
    hint: "Write bytes, or a number with a unit: 4096, 64K, 1.5MiB, 10MB",
  });
}
