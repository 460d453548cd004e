/**
 * A lock's key, and the label by which every role sees whose it is.
 *
 * @module
 */

/** The longest application_name; what is longer the server cuts. */
const MAX_LABEL_LENGTH = 63;
const MAX_HOST_LENGTH = 24;
/** What stands for the rest of a text that was cut; names escape it. */
const CUT = "~";

/** The keys that a lock's name stands for. */
export interface LockKeys {
  /** What the holder of the lock holds. */
  readonly main: bigint;
  /** What those who look for a free slot hold in turn. */
  readonly turn: bigint;
  /** What the holder of a slot holds besides. */
  slot(index: number): Promise<bigint>;
}

/** The keys of a name. */
export async function lockKeys(name: string): Promise<LockKeys> {
  // No name contains NUL, so that these are no other name's.
  return {
    main: await lockKey(name),
    turn: await lockKey(`${name}\0turn`),
    slot: (index) => lockKey(`${name}\0slot ${index}`),
  };
}

/**
 * The advisory lock's key of a name: the first 8 bytes of its SHA-256 as a
 * signed number, so that any program can compute it.
 */
export async function lockKey(name: string): Promise<bigint> {
  const bytes = new TextEncoder().encode(name);
  const hash = await crypto.subtle.digest("SHA-256", bytes);
  return new DataView(hash).getBigInt64(0);
}

/** Who has a session, as its application_name says. */
export interface LockLabel {
  /** The lock's name; `undefined` when it was too long for the label. */
  readonly name: string | undefined;
  /** The host, perhaps cut. */
  readonly host: string;
  /** The process there. */
  readonly pid: number;
}

/**
 * The application_name of a session. A role that is neither the session's nor
 * a member of pg_read_all_stats sees nothing else of it. The server replaces
 * what isn't printable ASCII, so the name is escaped.
 *
 * ```text
 * holdfast NAME HOST:PID
 * ```
 */
export function formatLabel(
  name: string,
  host: string | null,
  pid: number,
): string {
  const shownHost = cut(
    (host ?? "").replace(/[^A-Za-z0-9._-]/g, "_"),
    MAX_HOST_LENGTH,
  );
  const tail = ` ${shownHost}:${pid}`;
  const head = "holdfast ";
  const room = MAX_LABEL_LENGTH - head.length - tail.length;
  return head + cut(escapeName(name), room) + tail;
}

/** Reads such a label; `undefined` for those of other programs. */
export function parseLabel(text: string): LockLabel | undefined {
  const match = /^holdfast (\S+) (\S*):(\d+)$/.exec(text);
  if (match === null) return undefined;
  const [, name = "", host = "", pid] = match;
  return {
    name: name.endsWith(CUT) ? undefined : unescapeName(name),
    host,
    pid: Number(pid),
  };
}

/** A name in ASCII without spaces, quotes and `~`. */
export function escapeName(name: string): string {
  return encodeURIComponent(name.toWellFormed()).replace(
    /[~'()*!]/g,
    (character) =>
      `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`,
  );
}

/** What {@linkcode escapeName} has escaped; `undefined` when it can't be. */
export function unescapeName(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

function cut(text: string, length: number): string {
  return text.length <= length ? text : text.slice(0, length - 1) + CUT;
}
