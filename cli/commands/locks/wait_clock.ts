import type {
  LockTable,
  TableLock,
  TableWaiter,
} from "../../../lib/inspect/lock_table.ts";
import { waiterKey } from "./change.ts";
import type { KnownTime } from "./row.ts";

/** Remembers over many readings since when each waiter is seen to wait. */
export class WaitClock {
  #since = new Map<string, number>();

  /** Takes note of those who wait now, and forgets the others. */
  read(table: LockTable): void {
    const since = new Map<string, number>();
    for (const waiter of table.waiters) {
      const key = waiterKey(waiter);
      since.set(key, this.#since.get(key) ?? table.readAtMs);
    }
    this.#since = since;
  }

  /** When a waiter of the last reading was first seen. */
  timeOf(entry: TableLock | TableWaiter): KnownTime | undefined {
    if (!("blockers" in entry)) return undefined;
    const sinceMs = this.#since.get(waiterKey(entry));
    return sinceMs === undefined ? undefined : { sinceMs, from: "watch" };
  }
}
