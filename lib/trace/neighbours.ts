/**
 * The names in directories where lock files are.
 *
 * @module
 */

import { listInodes } from "../sys/list_directory.ts";
import { statIfAny } from "../sys/storage/names.ts";

/**
 * A change so soon before a listing was read may not show in the directory's
 * time: the kernel's clock for files ticks at most every 10 ms.
 */
const COARSE_MS = 20;

interface Listing {
  names: ReadonlyMap<bigint, string>;
  modifiedMs: number;
  /** Whether a change since would show. */
  isSettled: boolean;
}

/** Lists directories anew only once they have changed. */
export class Neighbours {
  readonly #listings = new Map<string, Listing>();
  readonly #checked = new Set<string>();

  /** The names in a directory by inode number, as they are in this batch. */
  list(directory: string): ReadonlyMap<bigint, string> {
    const known = this.#listings.get(directory);
    if (known !== undefined && this.#checked.has(directory)) return known.names;
    this.#checked.add(directory);
    const modifiedMs = statIfAny(directory)?.modifiedMs;
    if (known?.isSettled && known.modifiedMs === modifiedMs) return known.names;
    // A time that isn't known, or is in the future, never settles.
    const isSettled = modifiedMs !== undefined &&
      Date.now() - modifiedMs > COARSE_MS;
    const names = listInodes(directory);
    const listing = { names, modifiedMs: modifiedMs ?? NaN, isSettled };
    this.#listings.set(directory, listing);
    return names;
  }

  /** Lets another batch look whether they have changed. */
  nextBatch(): void {
    this.#checked.clear();
  }
}
