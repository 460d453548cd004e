/**
 * Who holds a lock and who waits for it, from pg_locks and pg_stat_activity,
 * which every role may read: of other roles' sessions only the
 * application_name, of its own also the last statement, whose comment has the
 * whole identity.
 *
 * @module
 */

import { printable } from "../../proc/printable.ts";
import type { ClusterLockStatus, ClusterParty } from "../engine.ts";
import {
  formatLockIdentity,
  type LockIdentity,
  parseLockIdentity,
} from "../identity.ts";
import { type ClusterUrl, withLockName } from "../url.ts";
import {
  escapeName,
  lockKeys,
  type LockLabel,
  parseLabel,
  unescapeName,
} from "./lock_label.ts";
import type { Row } from "./answers.ts";
import type { PostgresSession } from "./session.ts";

/** One advisory lock that a server process holds or waits for. */
export interface AdvisoryLock {
  /** The server process. */
  readonly pid: number;
  /** Its key. */
  readonly key: bigint;
  /** Whether it is held. */
  readonly isGranted: boolean;
  /** Whether others may hold it at the same time. */
  readonly isShared: boolean;
  /** Its application_name. */
  readonly application: string;
  /** Its database role; `null` where that isn't shown. */
  readonly role: string | null;
  /** The comment of its last statement; `undefined` where that isn't shown. */
  readonly comment: LockComment | undefined;
  /** Whether somebody waits until its transaction is over. */
  readonly isInTheWay: boolean;
}

/** What a session says of itself in its statements. */
export interface LockComment {
  /** The lock's whole name. */
  readonly name: string;
  /** Who has the session. */
  readonly identity: LockIdentity;
}

/** The comment that ends a statement. */
export function formatComment(name: string, identity: LockIdentity): string {
  // JSON is one line, so that nothing in it ends the comment.
  return `-- holdfast ${escapeName(name)} ${formatLockIdentity(identity)}`;
}

function parseComment(query: string): LockComment | undefined {
  const match = /-- holdfast (\S+) (\{.*)$/.exec(query);
  const name = unescapeName(match?.[1] ?? "");
  const identity = parseLockIdentity(match?.[2] ?? "");
  return name && identity ? { name, identity } : undefined;
}

/*
 * bigint keys have objsubid 1, and their halves in classid and objid. A wait
 * has no start for a moment after it has begun.
 *
 * A waiter has a snapshot as long as it waits, and CREATE INDEX CONCURRENTLY
 * waits for the end of every older snapshot in the database.
 */
const ADVISORY_LOCKS = `with locks as materialized (select * from pg_locks)
select l.pid, l.granted, l.mode,
  (l.classid::int8 << 32) | l.objid::int8 as key,
  a.application_name, a.usename, a.query,
  exists (select from locks v where v.locktype = 'virtualxid'
    and v.virtualxid = l.virtualtransaction and not v.granted) as in_the_way
from locks l left join pg_stat_activity a on a.pid = l.pid
where l.locktype = 'advisory' and l.objsubid = 1 and l.database =
  (select oid from pg_database where datname = current_database())
order by l.granted desc, l.waitstart nulls last, l.pid`;

/** All advisory locks of the database: held ones, then waits by their start. */
export async function readAdvisoryLocks(
  session: PostgresSession,
  timeoutMs: number,
): Promise<AdvisoryLock[]> {
  const rows = await session.query(ADVISORY_LOCKS, timeoutMs);
  return rows.map(advisoryLock);
}

function advisoryLock(row: Row): AdvisoryLock {
  return {
    pid: Number(row.pid),
    key: BigInt(row.key ?? 0),
    isGranted: row.granted === "t",
    isShared: row.mode === "ShareLock",
    application: row.application_name ?? "",
    role: row.usename ?? null,
    comment: parseComment(row.query ?? ""),
    isInTheWay: row.in_the_way === "t",
  };
}

/**
 * The queue of one lock.
 *
 * A session that wants a slot holds the lock's key shared from the start, and
 * the key of the turn, or a place in its queue, until there is a slot.
 */
export async function lockStatus(
  url: ClusterUrl,
  name: string,
  locks: readonly AdvisoryLock[],
): Promise<ClusterLockStatus> {
  const { main, turn } = await lockKeys(name);
  const turns = locks.filter(({ key }) => key === turn);
  const seekers = new Set(turns.map(({ pid }) => pid));
  const entries = locks.filter(({ key }) => key === main);
  const waiters = [
    ...turns.filter(({ pid }) =>
      entries.some((entry) => entry.pid === pid && entry.isGranted)
    ),
    ...entries.filter(({ isGranted }) => !isGranted),
  ];
  const party = (lock: AdvisoryLock) =>
    describe(entries.find(({ pid }) => pid === lock.pid) ?? lock);
  return {
    url: withLockName(url, name).text,
    name,
    holders: entries.filter(({ isGranted, pid }) =>
      isGranted && !seekers.has(pid)
    ).map(party),
    waiters: waiters.map(party),
  };
}

/** The server processes that come before one in a queue, the nearest last. */
export interface QueuePlace {
  /** How many of them are waiting themselves or hold the lock. */
  readonly position: number;
  /** Who they are. */
  readonly ahead: readonly ClusterParty[];
}

/**
 * What a server that hasn't run for the length of a lease may not know.
 *
 * @param memoryMs For how long it has remembered its locks.
 * @param ttlMs The length of a lease.
 */
export function forgetfulNote(
  memoryMs: number,
  ttlMs: number,
): string | undefined {
  if (memoryMs >= ttlMs) return undefined;
  const ago = Math.max(0, Math.floor(memoryMs / 1000));
  return `the server was started ${ago} s ago and may have forgotten a ` +
    `holder, whose lease is waited for: ${ttlMs / 1000} s in all`;
}

/** Where a server process stands in a lock's queue. */
export function placeInQueue(
  { holders, waiters }: ClusterLockStatus,
  pid: number,
): QueuePlace {
  const own = sessionName(pid);
  const at = waiters.findIndex(({ session }) => session === own);
  const ahead = [
    ...holders.filter(({ session }) => session !== own),
    ...waiters.slice(0, at < 0 ? waiters.length : at),
  ];
  return { position: ahead.length, ahead };
}

/** All of a database's locks whose names begin so, by name. */
export async function lockList(
  url: ClusterUrl,
  prefix: string,
  locks: readonly AdvisoryLock[],
): Promise<ClusterLockStatus[]> {
  const names = new Set<string>();
  const unnamed = new Map<bigint, AdvisoryLock>();
  for (const lock of locks) {
    const label = parseLabel(lock.application);
    if (label === undefined) continue;
    const name = lock.comment?.name ?? label.name;
    if (name === undefined) unnamed.set(lock.key, lock);
    else if (name.startsWith(prefix)) names.add(name);
  }
  const list: ClusterLockStatus[] = [];
  const known = new Set<bigint>();
  for (const name of [...names].sort()) {
    // Anybody may write any name; the key must be that of the name.
    const { main } = await lockKeys(name);
    if (!locks.some(({ key }) => key === main)) continue;
    known.add(main);
    list.push(await lockStatus(url, name, locks));
  }
  for (const key of unnamed.keys()) {
    if (known.has(key) || prefix !== "") continue;
    list.push(keyStatus(url, key, locks));
  }
  return list;
}

/** A lock of which this role sees no more than the key. */
function keyStatus(
  url: ClusterUrl,
  key: bigint,
  locks: readonly AdvisoryLock[],
): ClusterLockStatus {
  const entries = locks.filter((lock) => lock.key === key);
  return {
    url: url.text,
    name: `key ${key}`,
    holders: entries.filter(({ isGranted }) => isGranted).map(describe),
    waiters: entries.filter(({ isGranted }) => !isGranted).map(describe),
  };
}

/** What ties a lock to its life. */
export function sessionName(pid: number): string {
  return `backend ${pid}`;
}

function describe(lock: AdvisoryLock): ClusterParty {
  const label = parseLabel(lock.application);
  return {
    ...(lock.comment?.identity ?? labelIdentity(label, lock)),
    program: label === undefined
      ? printable(lock.application) || "unknown program"
      : "holdfast",
    key: `${lock.key}`,
    session: sessionName(lock.pid),
    mode: lock.isShared ? "shared" : "exclusive",
  };
}

function labelIdentity(
  label: LockLabel | undefined,
  { role }: AdvisoryLock,
): LockIdentity {
  return {
    host: label?.host ?? null,
    pid: label?.pid ?? null,
    // Of another program's process only the role is known.
    user: label === undefined && role !== null ? printable(role) : null,
    command: null,
    since: null,
  };
}
