import { LockError } from "../../sys/error.ts";
import type { PathLike } from "../lock_path.ts";
import { readServerClock } from "./lease.ts";
import { LinkNames } from "./names.ts";
import { ForeignLinkLockError, judgeLinkOwner } from "./owner.ts";
import { carries, removeIfAny } from "./protocol.ts";
import { explain, lstat, readStoredOwner } from "./stored_owner.ts";

/** A private file of a link lock, and what a sweep did to it. */
export interface SweptFile {
  /** Its path. */
  path: string;
  /** Whether it was removed, or would be in a dry run. */
  removed: boolean;
  /** Why, or why not, a clause. */
  reason: string;
}

/**
 * Removes the private files of processes that died while they took or broke a
 * link lock: those of processes proved dead, and records that were begun a day
 * ago and never finished. The lock itself and its counter stay.
 *
 * Permissions: `--allow-read`, `--allow-write` and `--allow-ffi`.
 *
 * @param path The lock.
 * @param options `dryRun` removes nothing.
 * @returns What was found.
 *
 * @example
 * ```ts
 * import { sweepLinkLock } from "@holdfast/holdfast/link-lock";
 *
 * for (const file of sweepLinkLock("/tmp/holdfast-example.link")) {
 *   console.log(file.path, file.removed, file.reason);
 * }
 * ```
 */
export function sweepLinkLock(
  path: PathLike,
  options: { dryRun?: boolean } = {},
): SweptFile[] {
  const names = new LinkNames(path);
  const swept: SweptFile[] = [];
  for (const name of privateNames(names)) {
    const file = `${names.directory}/${name}`;
    let verdict = judgeFile(names, file, tokenOf(names, name));
    if (verdict === undefined) continue;
    if (verdict.removed && !options.dryRun) verdict = remove(file, verdict);
    swept.push({ path: file, ...verdict });
  }
  return swept;
}

type Verdict = Omit<SweptFile, "path">;

/** One that can't be removed doesn't keep the others. */
function remove(file: string, verdict: Verdict): Verdict {
  try {
    removeIfAny(file);
    return verdict;
  } catch (error) {
    if (!(error instanceof Error) || !("code" in error)) throw error;
    return {
      removed: false,
      reason: `${verdict.reason}, but: ${error.message}`,
    };
  }
}

function privateNames(names: LinkNames): string[] {
  const found: string[] = [];
  try {
    for (const { name } of Deno.readDirSync(names.directory)) {
      if (
        name.startsWith(names.prefix) &&
        /^[0-9a-f]{32}\.(new|old|claim-\d+)$/.test(
          name.slice(names.prefix.length),
        )
      ) found.push(name);
    }
  } catch (error) {
    throw explain("list the directory", names.directory, error);
  }
  return found.sort();
}

function tokenOf(names: LinkNames, name: string): string {
  return name.slice(names.prefix.length, names.prefix.length + 32);
}

function judgeFile(
  names: LinkNames,
  file: string,
  token: string,
): Verdict | undefined {
  try {
    const stored = readStoredOwner(file);
    if (stored === undefined) return undefined;
    const { liveness, reason } = judgeLinkOwner(stored.owner);
    if (liveness !== "dead") return { removed: false, reason };
    // A claim comes before later ones as long as its lock has the name.
    return file.includes(".claim-") && carries(names, token)
      ? { removed: false, reason: "breaking the lock goes on from it" }
      : { removed: true, reason };
  } catch (error) {
    if (!(error instanceof LockError)) throw error;
    return error instanceof ForeignLinkLockError && isUnfinished(names, file)
      ? { removed: true, reason: "it was begun a day ago and never finished" }
      : { removed: false, reason: error.message };
  }
}

/**
 * A process that is stopped that long in the middle of a record finds it gone.
 */
const UNFINISHED_MS = 24 * 3600 * 1000;

/**
 * Whether a record is one that a process has begun and died over; its name is
 * that of no lock and no claim yet.
 */
function isUnfinished(names: LinkNames, file: string): boolean {
  const info = file.endsWith(".new") ? lstat(file) : undefined;
  return info?.isFile === true && info.mtime !== null &&
    readServerClock(names) - info.mtime.getTime() > UNFINISHED_MS;
}
