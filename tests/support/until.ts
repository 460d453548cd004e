/** What takes longer than this will not happen any more. */
const PATIENCE_MS = 60_000;

/**
 * Asks again and again until the answer is yes: for what another program does
 * and doesn't tell.
 */
export async function until(
  isSo: () => boolean | Promise<boolean>,
): Promise<void> {
  const start = performance.now();
  while (!await isSo()) {
    if (performance.now() - start > PATIENCE_MS) {
      throw new Error(`not so after ${PATIENCE_MS / 1000} s: ${isSo}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
