/**
 * Numbers as flock(1) reads them, quirks included: a script must lock the same
 * bytes, wait as long and fail alike with both programs.
 *
 * @module
 */

import { EXIT } from "../../ui/exit_codes.ts";
import { FlockFailure, usageFailure } from "./failure.ts";

/* The C library's words, which flock(1) adds in the caller's language. */
const ERANGE = "Numerical result out of range";
const EINVAL = "Invalid argument";

/** Decimal, with an exponent or without, as strtod(3) has it. */
const DECIMAL = /^\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?$/i;
const HEXADECIMAL =
  /^\s*([+-]?)0x(?=\.?[\da-f])([\da-f]*)\.?([\da-f]*)(?:p([-+]?\d+))?$/i;

/** Seconds that fit time_t. */
const TOO_MANY_SECONDS = 2 ** 63;

/**
 * Reads a timeout in seconds.
 *
 * @returns Milliseconds.
 * @throws {FlockFailure} when it is none, negative, infinite or too large.
 */
export function readSeconds(text: string): number {
  const seconds = DECIMAL.test(text) ? Number(text) : readHexadecimal(text);
  if (!(seconds >= 0)) throw usageFailure(`invalid timeout: '${text}'`);
  if (seconds < TOO_MANY_SECONDS) return seconds * 1000;
  // What timer_settime(2) says of it.
  throw new FlockFailure(EXIT.OS_ERROR, `cannot set up timer: ${EINVAL}`);
}

function readHexadecimal(text: string): number {
  const match = HEXADECIMAL.exec(text);
  if (match === null) return NaN;
  const [, sign, whole = "", fraction = "", exponent = "0"] = match;
  const value = Number(`0x${whole}${fraction}`) *
    2 ** (Number(exponent) - 4 * fraction.length);
  return sign === "-" ? -value : value;
}

const INTEGER = /^\s*[-+]?\d+$/;

/**
 * Reads a decimal number of some range.
 *
 * @param what What the message calls it when it is none.
 */
export function readInteger(
  text: string,
  [least, most]: readonly [number, number],
  what: string,
): number {
  const value = Number(text);
  const reason = !INTEGER.test(text)
    ? ""
    : value < least || value > most
    ? `: ${ERANGE}`
    : undefined;
  if (reason === undefined) return value;
  throw usageFailure(`${what}: '${text}'${reason}`);
}

/* strtoumax(3) with base 0, then perhaps a fraction, and a unit. */
const SIZE =
  /^\s*\+?(0x[\da-f]+(?![\da-f])|0[0-7]*|[1-9]\d*)(?:(\.\d*)?([kmgtpezy])(i?[Bb])?)?$/i;
const UNITS = "kmgtpezy";
const MOST = 2n ** 64n - 1n;

/**
 * Reads a number of bytes: K and KiB are 1024, KB is 1000.
 *
 * What exceeds a file offset turns negative, as it does in flock(1), which
 * leaves it to the kernel to refuse it or not.
 *
 * @param what What the message calls it when it is none.
 * @returns A signed number of 64 bits.
 * @throws {FlockFailure} when it is none, or doesn't fit 64 bits.
 */
export function readSize(text: string, what: string): bigint {
  const bytes = parseSize(text);
  if (typeof bytes === "bigint") return BigInt.asIntN(64, bytes);
  throw usageFailure(`${what}: '${text}': ${bytes}`);
}

function parseSize(text: string): bigint | typeof ERANGE | typeof EINVAL {
  const [, digits, fraction = ".", unit, suffix = ""] = SIZE.exec(text) ?? [];
  // The i of KiB is a small one.
  if (digits === undefined || suffix.startsWith("I")) return EINVAL;
  const number = BigInt(/^0\d/.test(digits) ? `0o${digits.slice(1)}` : digits);
  if (number > MOST) return ERANGE;
  if (unit === undefined) return number;
  const base = suffix.length === 1 ? 1000n : 1024n;
  const power = UNITS.indexOf(unit.toLowerCase()) + 1;
  const whole = scale(number, base, power);
  const part = BigInt(fraction.slice(1) || "0");
  if (part > MOST || whole > MOST) return ERANGE;
  return BigInt.asUintN(
    64,
    whole + readFraction(fraction.slice(1), scaleWithin(base, power)),
  );
}

function scale(number: bigint, base: bigint, power: number): bigint {
  return number * base ** BigInt(power);
}

/** The greatest power of the unit that fits: 0Z and 0.5Z get that far. */
function scaleWithin(base: bigint, power: number): bigint {
  let unit = 1n;
  for (let i = 0; i < power && unit <= MOST / base; i++) unit *= base;
  return unit;
}

/**
 * The bytes of a fraction. Each digit is added by itself, divided twice and
 * rounded twice, so that 1.25K has 1279 bytes; and 1.10K counts as 2K.
 */
function readFraction(digits: string, unit: bigint): bigint {
  const significant = digits.replace(/^0+/, "");
  if (significant === "") return 0n;
  let rest = BigInt(significant);
  let divisor = 10n;
  const grow = () => {
    if (divisor <= MOST / 10n) divisor *= 10n;
    else rest /= 10n;
  };
  while (divisor < rest) grow();
  for (let i = significant.length; i < digits.length; i++) grow();
  let bytes = 0n;
  for (let place = 1n; rest > 0n; place *= 10n) {
    const digit = rest % 10n;
    rest /= 10n;
    const share = digit === 0n ? 0n : divisor / place / digit;
    if (share > 0n) bytes += unit / share;
  }
  return bytes;
}
