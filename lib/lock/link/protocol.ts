/**
 * The steps by which a link lock is taken and given up, each of which may be
 * the last one that a process makes. `docs/link-locks.md` shows why none of
 * their interleavings gives two owners; `tests/model/` explores them all.
 *
 * @module
 */

import { readOwnIdentity } from "../../sys/process/identity.ts";
import { UnsupportedFilesystemError } from "../unsupported_filesystem_error.ts";
import { type LinkNames, newToken } from "./names.ts";
import {
  ForeignLinkLockError,
  formatLinkOwner,
  judgeLinkOwner,
  type LinkLockOwner,
} from "./owner.ts";
import { isStray, settled } from "./settled.ts";
import {
  explain,
  lstat,
  readStoredOwner,
  type StoredOwner,
} from "./stored_owner.ts";

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
    file = settled(() =>
      Deno.openSync(path, { write: true, createNew: true, mode: 0o644 })
    );
  } catch (error) {
    throw explain("create a file for link lock", names.given, error);
  }
  try {
    keepOwnersRights(file, path);
    let bytes = encoder.encode(formatLinkOwner(owner));
    while (bytes.length > 0) bytes = bytes.subarray(file.writeSync(bytes));
    // What is linked must be whole even after the server has crashed. The
    // directory isn't synced: a name lost with this host loses nobody's lock.
    file.syncSync();
    return file.statSync().mtime?.getTime() ?? 0;
  } catch (error) {
    removeIfAny(path);
    throw explain("write the record of link lock", names.given, error);
  } finally {
    file.close();
  }
}

/**
 * A umask may take even its maker's right to read a record, which could then
 * neither be released nor found stale.
 */
function keepOwnersRights(file: Deno.FsFile, path: string): void {
  const OWNERS = 0o600;
  const { mode } = file.statSync();
  if (mode === null || (mode & OWNERS) === OWNERS) return;
  Deno.chmodSync(path, (mode & 0o777) | OWNERS);
}

/**
 * Gives a candidate a second name if nobody has that name.
 *
 * @returns Whether it has it now, whatever link(2) said: over NFS the answer
 * to a link that was made may be lost, and its repetition fails.
 */
export function linkCandidate(candidate: string, target: string): boolean {
  const failure = tryLink(candidate, target);
  if (isOneFile(candidate, target)) return true;
  if (
    failure === undefined || failure instanceof Deno.errors.AlreadyExists
  ) return false;
  // On CIFS a name whose file is just being removed is neither there nor free.
  const isPassing = isStray(failure) || failure instanceof Deno.errors.NotFound;
  if (isPassing && lstat(candidate) !== undefined) return false;
  throw explain("link lock", target, failure);
}

function tryLink(candidate: string, target: string): unknown {
  try {
    settled(() => Deno.linkSync(candidate, target));
    return undefined;
  } catch (error) {
    return error;
  }
}

function isOneFile(candidate: string, target: string): boolean {
  const mine = lstat(candidate);
  // Some FUSE filesystems number the names of one file differently, so the
  // count of links is asked too.
  if (mine === undefined || mine.nlink === 2) return mine !== undefined;
  const there = lstat(target);
  return there !== undefined && mine.ino !== null && mine.ino === there.ino &&
    mine.dev === there.dev;
}

/** Devices on which link(2) was seen to make one file of two names. */
const linkingDevices = new Set<number>();

/**
 * Makes sure, by two private names, that link(2) does what locks rest on: by
 * sshfs it makes a copy, by which an owner would wait for itself.
 *
 * @throws {UnsupportedFilesystemError} when it doesn't.
 */
export function checkLinks(names: LinkNames, token: string): void {
  const candidate = names.candidate(token);
  const device = lstat(candidate)?.dev;
  if (device !== undefined && linkingDevices.has(device)) return;
  // A name that a sweep knows: no lock has that token yet.
  const second = names.claim(token, 0);
  const failure = tryLink(candidate, second);
  try {
    if (isOneFile(candidate, second)) {
      if (device !== undefined) linkingDevices.add(device);
      return;
    }
  } finally {
    removeIfAny(second);
  }
  if (failure !== undefined && !hasNoLinks(failure)) {
    throw explain("link lock", names.given, failure);
  }
  throw new UnsupportedFilesystemError(
    names.given,
    "a filesystem",
    failure === undefined
      ? "link(2) makes a copy (the count of links stays 1)"
      : "there are no hard links",
    {
      lock: "link locks",
      advice: "choose a directory on another filesystem",
    },
  );
}

/** What is said by vfat and the like, by FUSE and by 9p. */
function hasNoLinks(error: unknown): boolean {
  return error instanceof Error && "code" in error &&
    ["EPERM", "EOPNOTSUPP", "ENOSYS"].includes(String(error.code));
}

/** unlink(2); a name that is gone already is fine. */
export function removeIfAny(path: string): void {
  try {
    settled(() => Deno.removeSync(path));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) {
      throw explain("remove", path, error);
    }
  }
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
    const stored = readStoredOwner(names.path, names.given);
    if (stored === undefined || stored.owner.token !== token) return "changed";
    if (!stillWanted(stored)) return "kept";
    return takeAway(names, token, onIncident);
  } finally {
    removeIfAny(names.claim(token, claim));
    // While the lock still has its name, claims of dead processes still come
    // before those of living ones.
    if (!carries(names, token)) {
      for (let n = claim - 1; n >= 0; n--) removeIfAny(names.claim(token, n));
    }
  }
}

/** Whether the lock's name leads to the record with this token. */
export function carries(names: LinkNames, token: string): boolean {
  try {
    return readStoredOwner(names.path, names.given)?.owner.token === token;
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
    settled(() => Deno.renameSync(names.path, removed));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) {
      throw explain("remove link lock", names.given, error);
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
  onIncident?.({ path: names.given, found, restored });
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

/** A record that only says who this process is. */
export function plainOwner(): LinkLockOwner {
  return newOwner({ fence: 1, message: null, leaseMs: null });
}
