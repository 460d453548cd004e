/**
 * The steps by which a link lock is taken and given up, each of which may be
 * the last one that a process makes. `docs/link-locks.md` shows why none of
 * their interleavings gives two owners; `tests/model/` explores them all.
 *
 * @module
 */

import { quotePath } from "../../proc/printable.ts";
import { readOwnIdentity } from "../../sys/identity.ts";
import {
  checkLinkPath,
  explain,
  ForeignLinkLockError,
  formatLinkOwner,
  judgeLinkOwner,
  type LinkLockOwner,
  lstat,
  readStoredOwner,
  type StoredOwner,
} from "./owner.ts";
import { dirname } from "../../sys/path_parts.ts";

/** The names that belong to one lock, all in its directory. */
export class LinkNames {
  /** The lock itself. */
  readonly path: string;
  /** Its directory. */
  readonly directory: string;
  /** What private names start with. */
  readonly prefix: string;

  /** Only computes names. */
  constructor(path: string) {
    if (path === "" || path.endsWith("/")) {
      throw new TypeError(`A link lock must be named: ${quotePath(path)}`);
    }
    checkLinkPath(path);
    this.path = path;
    this.directory = dirname(path);
    const base = path.slice(path.lastIndexOf("/") + 1);
    // NAME_MAX is 255 bytes, and the rest of a private name takes under 64.
    const bytes = new TextEncoder().encode(base);
    this.prefix = `.${
      bytes.length <= 190
        ? base
        : `${toHex(bytes.subarray(0, 64))}${hash32(bytes)}`
    }.`;
  }

  /** A record on its way to becoming the lock, or a claim. */
  candidate(token: string): string {
    return `${this.directory}/${this.prefix}${token}.new`;
  }

  /** The n-th claim to remove the lock that carries a token. */
  claim(token: string, n: number): string {
    return `${this.directory}/${this.prefix}${token}.claim-${n}`;
  }

  /** A lock that has been taken away from its name. */
  removed(token: string): string {
    return `${this.directory}/${this.prefix}${token}.old`;
  }

  /** The record of the last taking, which carries the fencing counter. */
  get last(): string {
    return `${this.directory}/${this.prefix}last`;
  }
}

function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0"))
    .join("");
}

/** FNV-1a: tells long names with the same start apart. */
function hash32(bytes: Uint8Array): string {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash.toString(16).padStart(8, "0");
}

/** A new random token. */
export function newToken(): string {
  return toHex(crypto.getRandomValues(new Uint8Array(16)));
}

const encoder = new TextEncoder();

/**
 * Writes a whole record to a private file and to the disk.
 *
 * @returns The file's mtime, which is the server's clock now, in ms.
 */
export function writeCandidate(names: LinkNames, owner: LinkLockOwner): number {
  const path = names.candidate(owner.token);
  let file: Deno.FsFile;
  try {
    file = Deno.openSync(path, { write: true, createNew: true, mode: 0o644 });
  } catch (error) {
    throw explain("create a file for link lock", names.path, error);
  }
  try {
    let bytes = encoder.encode(formatLinkOwner(owner));
    while (bytes.length > 0) bytes = bytes.subarray(file.writeSync(bytes));
    // What is linked must be whole even after the server has crashed. The
    // directory isn't synced: a name lost with this host loses nobody's lock.
    file.syncSync();
    return file.statSync().mtime?.getTime() ?? 0;
  } catch (error) {
    removeIfAny(path);
    throw explain("write the record of link lock", names.path, error);
  } finally {
    file.close();
  }
}

/**
 * Gives a candidate a second name if nobody has that name.
 *
 * @returns Whether it has it now, whatever link(2) said: over NFS the answer
 * to a link that was made may be lost, and its repetition fails.
 */
export function linkCandidate(candidate: string, target: string): boolean {
  let failure: unknown;
  try {
    Deno.linkSync(candidate, target);
  } catch (error) {
    failure = error;
  }
  const mine = lstat(candidate);
  const there = lstat(target);
  // Some FUSE filesystems number the names of one file differently, so the
  // count of links is asked too.
  if (mine?.nlink === 2) return true;
  if (
    mine !== undefined && there !== undefined && mine.ino !== null &&
    mine.ino === there.ino && mine.dev === there.dev
  ) return true;
  if (
    failure === undefined || failure instanceof Deno.errors.AlreadyExists
  ) return false;
  throw explain("link lock", target, failure);
}

/** unlink(2); a name that is gone already is fine. */
export function removeIfAny(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) {
      throw explain("remove", path, error);
    }
  }
}

/** The counter of the last taking that was completed; 0 before the first. */
export function readLastFence(names: LinkNames): number {
  return readStoredOwner(names.last)?.owner.fence ?? 0;
}

/**
 * With the lock just linked: makes its counter the last one.
 *
 * @returns `false` when another taking has used that counter meanwhile.
 */
export function commitFence(names: LinkNames, owner: LinkLockOwner): boolean {
  if (readLastFence(names) >= owner.fence) return false;
  const candidate = names.candidate(owner.token);
  try {
    // The private name goes and the counter is kept, in one step.
    Deno.renameSync(candidate, names.last);
  } catch (error) {
    // Over NFS: the answer of a rename that was done may have been lost.
    if (readStoredOwner(names.last)?.owner.token !== owner.token) {
      throw explain("keep the counter of link lock", names.path, error);
    }
  }
  return true;
}

/** What came of an attempt to take a lock away from its name. */
export type RemovalOutcome =
  /** It is gone, by this call. */
  | "removed"
  /** The name is free or carries another lock. */
  | "changed"
  /** Somebody who may still act is about to remove it. */
  | "claimed"
  /** The caller's condition no longer holds. */
  | "kept";

/** Told of what must not happen while everybody keeps to the protocol. */
export interface RemovalIncident {
  /** The lock. */
  path: string;
  /** Whose lock was found in place of the one to be removed. */
  found: LinkLockOwner | undefined;
  /** Whether it has its name again. */
  restored: boolean;
}

/** More claims than this on one lock are no accident. */
const MAX_CLAIMS = 1000;

/**
 * Removes the lock that carries a token, and no other.
 *
 * A right to do so is won first: claims to one token are numbered, each is
 * made by link(2) and so by one process, and a further one may be made only
 * when the maker of the one before is proved dead. Thus nobody else who keeps
 * to this can remove that lock between the look at its name and the rename.
 *
 * @param names The lock.
 * @param token The lock to remove.
 * @param maker Writes who claims: a record of this process.
 * @param stillWanted Asked again when the right is won.
 * @param onIncident Told when another lock was found after the rename.
 */
export function removeByClaim(
  names: LinkNames,
  token: string,
  maker: LinkLockOwner,
  stillWanted: (stored: StoredOwner) => boolean,
  onIncident?: (incident: RemovalIncident) => void,
): RemovalOutcome {
  const claim = winClaim(names, token, maker);
  if (typeof claim === "string") return claim;
  try {
    const stored = readStoredOwner(names.path);
    if (stored === undefined || stored.owner.token !== token) return "changed";
    if (!stillWanted(stored)) return "kept";
    return takeAway(names, token, onIncident);
  } finally {
    removeIfAny(names.claim(token, claim));
    // While the lock still has its name, the claims of the dead go on
    // standing before those of the living.
    if (!carries(names, token)) {
      for (let n = claim - 1; n >= 0; n--) removeIfAny(names.claim(token, n));
    }
  }
}

/** Whether the lock's name leads to the record with this token. */
export function carries(names: LinkNames, token: string): boolean {
  try {
    return readStoredOwner(names.path)?.owner.token === token;
  } catch (error) {
    if (error instanceof ForeignLinkLockError) return false;
    throw error;
  }
}

/** Gives the number of the claim that was won. */
function winClaim(
  names: LinkNames,
  token: string,
  maker: LinkLockOwner,
): number | "claimed" | "changed" {
  writeCandidate(names, maker);
  const candidate = names.candidate(maker.token);
  try {
    for (let n = 0; n < MAX_CLAIMS; n++) {
      const claim = names.claim(token, n);
      if (linkCandidate(candidate, claim)) return n;
      const stored = readStoredOwner(claim);
      // Its maker has just finished: the caller looks anew.
      if (stored === undefined) return "changed";
      if (judgeLinkOwner(stored.owner).liveness !== "dead") return "claimed";
    }
    return "claimed";
  } finally {
    removeIfAny(candidate);
  }
}

function takeAway(
  names: LinkNames,
  token: string,
  onIncident?: (incident: RemovalIncident) => void,
): RemovalOutcome {
  const removed = names.removed(token);
  try {
    Deno.renameSync(names.path, removed);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) {
      throw explain("remove link lock", names.path, error);
    }
    // Over NFS a rename that was done and is repeated finds nothing.
    if (lstat(removed) === undefined) return "changed";
  }
  const found = readRemoved(removed);
  if (found?.token === token) {
    removeIfAny(removed);
    return "removed";
  }
  // A stranger to the protocol has replaced it: what was there gets its name
  // back, unless that has been taken meanwhile.
  const restored = restore(removed, names.path);
  if (restored) removeIfAny(removed);
  onIncident?.({ path: names.path, found, restored });
  return "changed";
}

function readRemoved(path: string): LinkLockOwner | undefined {
  try {
    return readStoredOwner(path)?.owner;
  } catch (error) {
    if (error instanceof ForeignLinkLockError) return undefined;
    throw error;
  }
}

function restore(from: string, to: string): boolean {
  try {
    return linkCandidate(from, to);
  } catch {
    return false;
  }
}

/** A record of this process, with a new token. */
export function newOwner(
  fields: Pick<LinkLockOwner, "fence" | "message" | "leaseMs">,
): LinkLockOwner {
  return {
    token: newToken(),
    ...readOwnIdentity(),
    takenAtMs: Date.now(),
    ...fields,
  };
}
