/**
 * What a holder or waiter writes beside its lock, for others to read. Nothing
 * is ever decided by it.
 *
 * @module
 */

import { printable } from "../proc/printable.ts";
import { readOwnIdentity } from "../sys/process/identity.ts";

/** Who holds a lock or waits for it. What isn't known is `null`. */
export interface LockIdentity {
  /** The name of its host. */
  readonly host: string | null;
  /** Its process id there. */
  readonly pid: number | null;
  /** The user it runs as there. */
  readonly user: string | null;
  /** What it runs, or what it has to say instead. */
  readonly command: string | null;
  /** When it began to wait for the lock, or to hold it, by its own clock. */
  readonly since: Date | null;
}

/** The version of the record. */
const SCHEMA = 1;
/** The longest text of a field, in UTF-16 units. */
const MAX_TEXT_LENGTH = 200;

/**
 * The identity of this process.
 *
 * @param command What to say that it runs; unless given, its command line.
 */
export function ownLockIdentity(command?: string): LockIdentity {
  const { hostname, pid, user, command: commandLine } = readOwnIdentity();
  return {
    host: hostname,
    pid,
    user,
    command: command ?? commandLine,
    since: new Date(),
  };
}

/** The record as it is written: one line of JSON. */
export function formatLockIdentity(identity: LockIdentity): string {
  const { host, pid, user, command, since } = identity;
  return JSON.stringify({
    holdfast: SCHEMA,
    host: short(host),
    pid,
    user: short(user),
    command: short(command),
    since: since?.toISOString() ?? null,
  });
}

function short(text: string | null): string | null {
  return text !== null && text.length > MAX_TEXT_LENGTH
    ? `${text.slice(0, MAX_TEXT_LENGTH - 1)}…`
    : text;
}

/**
 * Reads such a record, which anybody may have written.
 *
 * @returns The identity, every text printable; `undefined` for anything else,
 * such as the empty value that etcdctl(1) writes.
 */
export function parseLockIdentity(text: string): LockIdentity | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const fields = value as Record<string, unknown>;
  if (fields.holdfast !== SCHEMA) return undefined;
  const readText = (field: unknown) =>
    typeof field === "string" ? short(printable(field)) : null;
  const { pid, since } = fields;
  const date = typeof since === "string" ? new Date(since) : undefined;
  return {
    host: readText(fields.host),
    pid: Number.isSafeInteger(pid) ? pid as number : null,
    user: readText(fields.user),
    command: readText(fields.command),
    since: date && !Number.isNaN(date.getTime()) ? date : null,
  };
}
