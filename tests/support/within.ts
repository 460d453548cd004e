/** No step of a test takes as long; only one that never ends does. */
export const STEP_MS = 180_000;

/** What a promise gives, or an error that says what has not happened. */
export async function within<T>(
  promise: Promise<T>,
  what: string,
  ms: number = STEP_MS,
): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`${what}: not within ${ms / 1000} s`)),
      ms,
    );
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
