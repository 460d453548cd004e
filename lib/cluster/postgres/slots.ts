/**
 * A lock that several may hold: each holds the lock's key shared and, besides,
 * the key of one slot. A session that wants one waits for its turn first, so
 * that slots are given out in order, and then for any slot to become free: a
 * release is notified, and a holder that was killed is noticed by asking
 * again.
 *
 * @module
 */

import type { LockKeys } from "./lock_label.ts";
import { lockStatus, readAdvisoryLocks } from "./parties.ts";
import { placeReporter } from "./queue_watch.ts";
import type { PostgresSession } from "./session.ts";
import { type PostgresWait, runWait } from "./wait.ts";

/** So often the one whose turn it is looks for a slot of a dead holder. */
const LOOK_MS = 500;
/** A statement that waits for nothing is answered in this time. */
const ANSWER_MS = 10_000;

/** The statement that gives up a slot and wakes the one whose turn it is. */
export function slotUnlock({ main }: LockKeys): string {
  return `select pg_advisory_unlock_all(); notify ${channel(main)}`;
}

/**
 * Takes a slot.
 *
 * @param comment Ends each statement, for others to read.
 * @returns Which; `undefined` when all were taken until the deadline.
 */
export async function takeSlot(
  session: PostgresSession,
  keys: LockKeys,
  slots: number,
  comment: string,
  wait: PostgresWait,
): Promise<number | undefined> {
  const slotKeys: bigint[] = [];
  for (let i = 0; i < slots; i++) slotKeys.push(await keys.slot(i));
  const trySlots = async () => {
    const [row] = await session.query(
      `select number - 1 as slot
      from unnest(array[${slotKeys.join()}]::int8[])
        with ordinality as slots (key, number)
      where pg_try_advisory_lock(key) limit 1 ${comment}`,
      ANSWER_MS,
    );
    return row === undefined ? undefined : Number(row.slot);
  };

  if (wait.deadline <= wait.clock.now()) {
    const [row] = await session.query(
      `select pg_try_advisory_lock_shared(${keys.main}) as got ${comment}`,
      ANSWER_MS,
    );
    // Whose turn it is plays no part: a slot is free, or it isn't.
    return row?.got === "t" ? await trySlots() : undefined;
  }
  const both = `select pg_advisory_lock_shared(${keys.main}), ` +
    `pg_advisory_lock(${keys.turn}) ${comment}`;
  if (!await runWait(session, both, wait)) return undefined;
  const slot = await takeFreeSlot(session, keys, trySlots, wait);
  await session.query(
    `unlisten *; select pg_advisory_unlock(${keys.turn}) ${comment}`,
    ANSWER_MS,
  );
  return slot;
}

async function takeFreeSlot(
  session: PostgresSession,
  { main }: LockKeys,
  trySlots: () => Promise<number | undefined>,
  { url, name, request: { signal, onWait }, clock, deadline }: PostgresWait,
): Promise<number | undefined> {
  const report = placeReporter(onWait);
  await session.query(`listen ${channel(main)}`, ANSWER_MS);
  for (;;) {
    const notified = new AbortController();
    session.onNotify = () => notified.abort();
    const slot = await trySlots();
    if (slot !== undefined) return slot;
    const leftMs = deadline - clock.now();
    if (leftMs <= 0) return undefined;
    if (onWait !== undefined) {
      const locks = await readAdvisoryLocks(session, ANSWER_MS);
      report(await lockStatus(url, name, locks), session.pid);
    }
    await clock.sleep(
      Math.min(LOOK_MS, leftMs),
      AbortSignal.any([
        notified.signal,
        session.ended,
        ...(signal === undefined ? [] : [signal]),
      ]),
    );
    signal?.throwIfAborted();
  }
}

function channel(key: bigint): string {
  return `"holdfast ${key}"`;
}
