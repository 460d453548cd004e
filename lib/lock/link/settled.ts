/**
 * Answers of file servers that say nothing about the file.
 *
 * @module
 */

/**
 * ESTALE: NFS, of a file that another client has removed since the lookup.
 * EINVAL: 9p and CIFS, of one that is being removed or renamed.
 */
const STRAY = ["ESTALE", "EINVAL"];

/** How often a question is put that gets such an answer. */
const MAX_LOOKS = 10;

/** Whether an error says nothing about the file. */
export function isStray(error: unknown): boolean {
  return error instanceof Error && "code" in error &&
    STRAY.includes(String(error.code));
}

/** Makes a call again until its answer is about the file. */
export function settled<T>(call: () => T): T {
  for (let looks = 1;; looks++) {
    try {
      return call();
    } catch (error) {
      if (looks === MAX_LOOKS || !isStray(error)) throw error;
    }
  }
}
