import { type FileStat, statPath } from "./file.ts";

/**
 * What a path refers to, asking no server and mounting nothing.
 *
 * @returns The facts, or `undefined` when nothing has that name or it can't be
 * looked up.
 */
export function statIfAny(path: string): FileStat | undefined {
  try {
    return statPath(path, { cached: true });
  } catch {
    // A path with a NUL, or through what this user may not enter.
    return undefined;
  }
}
