import { assertEquals, equal } from "@std/assert";

/**
 * Reads until two readings in a row agree. /proc/locks isn't read at one
 * moment: while other files' locks come and go, a line may be there twice or
 * not at all.
 */
export function settled<T>(read: () => T): T {
  let last = read();
  for (let reading = 0; reading < 50; reading++) {
    const next = read();
    if (equal(last, next)) break;
    last = next;
  }
  return last;
}

/** Reads again where something else was read than is there, up to ten times. */
export async function assertRead<T>(
  read: () => Promise<T>,
  expected: T,
): Promise<void> {
  let value = await read();
  for (let reading = 1; reading < 10 && !equal(value, expected); reading++) {
    value = await read();
  }
  assertEquals(value, expected);
}
