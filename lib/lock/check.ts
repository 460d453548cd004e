/**
 * Arguments of the wrong type. A caller may not be TypeScript, and an argument
 * that is silently misread locks less than was asked for.
 *
 * @module
 */

import { quotePath } from "../proc/printable.ts";

/** A value in a few words, for an error about it. */
export function describeValue(value: unknown): string {
  switch (typeof value) {
    case "string":
      return quotePath(value.slice(0, 40));
    case "object":
    case "function":
      return value === null
        ? "null"
        : `a value of type ${value.constructor?.name ?? "Object"}`;
    case "undefined":
      return "undefined";
    default:
      return `the ${typeof value} ${String(value)}`;
  }
}

/** @throws {TypeError} that says what the argument must be. */
export function rejectArgument(
  name: string,
  expected: string,
  value: unknown,
): never {
  throw new TypeError(
    `${name} must be ${expected}, got ${describeValue(value)}`,
  );
}

/** @throws {TypeError} when a value is none of some words. */
export function checkWord(
  value: string,
  words: readonly string[],
  name: string,
): void {
  if (words.includes(value)) return;
  const quoted = words.map((word) => `"${word}"`);
  const last = quoted.pop();
  rejectArgument(name, `${quoted.join(", ")} or ${last}`, value);
}

/** @throws {TypeError} when a value is no bigint. */
export function checkBigint(value: bigint, name: string): void {
  if (typeof value !== "bigint") rejectArgument(name, "a bigint", value);
}

/** @throws {TypeError} when a value is no string. */
export function checkString(value: string, name: string): void {
  if (typeof value !== "string") rejectArgument(name, "a string", value);
}

/** @throws {TypeError} when a value is no number. */
export function checkNumber(value: number, name: string): void {
  if (typeof value !== "number") rejectArgument(name, "a number", value);
}

/**
 * Checks a timeout given by a caller.
 *
 * @throws {RangeError} when it is negative or NaN.
 * @throws {TypeError} when it is no number.
 */
export function checkTimeout(timeoutMs: number): void {
  checkNumber(timeoutMs, "timeoutMs");
  if (!(timeoutMs >= 0)) {
    throw new RangeError(
      `timeoutMs must be 0 or more milliseconds, got ${timeoutMs}`,
    );
  }
}

/** @throws {TypeError} when a value is no function. */
export function checkFunction(
  value: (...args: never[]) => unknown,
  name: string,
): void {
  if (typeof value !== "function") rejectArgument(name, "a function", value);
}

/**
 * The last two arguments of a `with…` function; the options may be left out.
 *
 * @throws {TypeError} when there is nothing to run.
 */
export function optionsAndFunction<
  Options extends object,
  Fn extends (...args: never[]) => unknown,
>(optionsOrFn: Options | Fn, fn?: Fn): [options: Options, fn: Fn] {
  if (fn === undefined && typeof optionsOrFn === "function") {
    return [{} as Options, optionsOrFn as Fn];
  }
  checkFunction(fn!, "fn");
  return [optionsOrFn as Options, fn!];
}

/** @throws {TypeError} when what is to be called later can't be. */
export function checkCallbacks<Name extends string>(
  options: { readonly [name in Name]?: unknown },
  ...names: Name[]
): void {
  for (const name of names) {
    const value = options[name];
    if (value !== undefined && typeof value !== "function") {
      rejectArgument(name, "a function", value);
    }
  }
}

/** @throws {TypeError} when options are given as anything but an object. */
export function checkOptions(value: object, name = "options"): void {
  if (typeof value !== "object" || value === null) {
    rejectArgument(name, "an object", value);
  }
}

/** @throws {TypeError} when a value is no descriptor. */
export function checkDescriptor(value: number, name = "fd"): void {
  if (!Number.isInteger(value)) {
    rejectArgument(name, "an open file descriptor", value);
  }
}
