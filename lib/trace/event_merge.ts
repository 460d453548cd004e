/** Something that has a time. */
export interface Timed {
  /** When, in nanoseconds. */
  readonly timeNs: number;
}

/**
 * Gives what comes next of one row, in order.
 *
 * @returns It, or `undefined` when there is no more by now.
 */
export type NextPage<T> = () => readonly T[] | undefined;

interface Row<T> {
  readonly next: NextPage<T>;
  page: readonly T[];
  at: number;
  /** Whether there was no more of it, in this round. */
  isDrained: boolean;
}

/**
 * Makes one row of several that are in order each.
 *
 * No more than a page of each is in memory: what is taken and done with at once
 * costs the garbage collector nothing.
 */
export class EventMerge<T extends Timed> {
  readonly #rows: Row<T>[];

  /** @param rows What gives the next page of each row. */
  constructor(rows: readonly NextPage<T>[]) {
    this.#rows = rows.map((next) => ({
      next,
      page: [],
      at: 0,
      isDrained: false,
    }));
  }

  /**
   * Takes what there is up to a moment.
   *
   * @param untilNs What is later waits for the next round.
   * @param most Soon after so many it is enough.
   * @param take Gets each, by time.
   * @returns Up to when all was taken, and whether there is more before
   * `untilNs`.
   */
  round(
    untilNs: number,
    most: number,
    take: (item: T) => void,
  ): { untilNs: number; isBehind: boolean } {
    // By the times of their heads.
    const ready: Row<T>[] = [];
    for (const row of this.#rows) {
      row.isDrained = false;
      if (hasMore(row, untilNs)) insert(ready, row);
    }
    let left = most;
    for (let row = ready.shift(); row !== undefined; row = ready.shift()) {
      const other = ready[0];
      const limit = other === undefined
        ? untilNs
        : Math.min(untilNs, headTime(other));
      const { page } = row;
      let at = row.at;
      while (at < page.length && page[at]!.timeNs <= limit) take(page[at++]!);
      left -= at - row.at;
      row.at = at;
      if (left <= 0) return { untilNs: page[at - 1]!.timeNs, isBehind: true };
      if (hasMore(row, untilNs)) insert(ready, row);
    }
    return { untilNs, isBehind: false };
  }
}

function headTime<T extends Timed>({ page, at }: Row<T>): number {
  return page[at]!.timeNs;
}

function hasMore<T extends Timed>(row: Row<T>, untilNs: number): boolean {
  while (row.at >= row.page.length) {
    if (row.isDrained) return false;
    const page = row.next();
    row.isDrained = page === undefined;
    row.page = page ?? [];
    row.at = 0;
  }
  return headTime(row) <= untilNs;
}

function insert<T extends Timed>(ready: Row<T>[], row: Row<T>): void {
  const time = headTime(row);
  let at = ready.length;
  while (at > 0 && headTime(ready[at - 1]!) > time) at--;
  ready.splice(at, 0, row);
}
