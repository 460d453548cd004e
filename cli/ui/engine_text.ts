/**
 * Locks in engines, and who takes part in them, as text and as JSON.
 *
 * @module
 */

import {
  type ClusterLockStatus,
  type ClusterParty,
  describeParty,
} from "../../lib/cluster/engine.ts";
import { isLockUrl } from "../../lib/lock/lock_path.ts";
import { printable, quotePath } from "../../lib/proc/printable.ts";
import { UsageError } from "../args/parse.ts";

/**
 * Makes sure that what was named is all in engines.
 *
 * @throws {UsageError} when there are files among it.
 */
export function checkAllUrls(names: readonly string[]): void {
  const file = names.find((name) => !isLockUrl(name));
  if (file === undefined) return;
  throw new UsageError(`'${file}' is a file among URLs`, {
    hint: "Ask about files and about URLs in two calls",
  });
}

/** Errors of the library about what a URL says are the user's. */
export async function asUsage<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof TypeError) throw new UsageError(error.message);
    throw error;
  }
}

/** A lock with its holders and waiters, on several lines. */
export function statusText(status: ClusterLockStatus): string {
  const { url, holders, waiters, note } = status;
  const list = (parties: readonly ClusterParty[]) =>
    parties.map((party) => `  ${describeParty(party)}`);
  return [
    `${quotePath(url)}: ${holders.length > 0 ? "held by" : "free"}`,
    ...list(holders),
    ...(waiters.length > 0 ? [" waited for by", ...list(waiters)] : []),
    ...(note === undefined ? [] : [`  note: ${printable(note)}`]),
  ].join("\n");
}

/** The same for a JSON document. */
export function statusToJson(
  { url, name, holders, waiters, note }: ClusterLockStatus,
): Record<string, unknown> {
  return {
    url,
    name,
    held: holders.length > 0,
    holders: holders.map(partyToJson),
    waiters: waiters.map(partyToJson),
    note: note ?? null,
  };
}

function partyToJson(party: ClusterParty): Record<string, unknown> {
  const { program, host, pid, user, command, since } = party;
  return {
    program,
    host,
    pid,
    user,
    command,
    since: since?.toISOString() ?? null,
    session: party.session,
    key: party.key,
    mode: party.mode,
  };
}
