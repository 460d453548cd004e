import { UsageError } from "./parse.ts";

/**
 * Reads a number of things.
 *
 * @throws {UsageError} when it isn't one.
 */
export function readCount(option: string, text: string): number {
  if (/^\d{1,6}$/.test(text)) return Number(text);
  throw new UsageError(`invalid number for --${option}: '${text}'`);
}
