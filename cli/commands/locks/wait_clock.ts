import type {
  LockTable,
  TableWaiter,
} from "../../../lib/inspect/lock_table.ts";
import { waiterKey } from "./change.ts";

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
  seenSince(waiter: TableWaiter): number | undefined {
    return this.#since.get(waiterKey(waiter));
  }
}
