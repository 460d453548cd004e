import { LockError } from "../../sys/error.ts";
import type { PathLike } from "../lock_path.ts";
import { LinkNames } from "./names.ts";
import { judgeLinkOwner } from "./owner.ts";
import { carries, removeIfAny } from "./protocol.ts";
import { explain, readStoredOwner } from "./stored_owner.ts";

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
 * Removes the private files that processes have left behind which died while
 * taking or breaking a link lock: those of processes proved dead, and no
 * others. The lock itself and its counter stay.
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
    const verdict = judgeFile(names, file, tokenOf(names, name));
    if (verdict === undefined) continue;
    if (verdict.removed && !options.dryRun) removeIfAny(file);
    swept.push({ path: file, ...verdict });
  }
  return swept;
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
): Omit<SweptFile, "path"> | undefined {
  try {
    const stored = readStoredOwner(file);
    if (stored === undefined) return undefined;
    const { liveness, reason } = judgeLinkOwner(stored.owner);
    if (liveness !== "dead") return { removed: false, reason };
    // A claim stands before later ones as long as its lock has the name.
    return file.includes(".claim-") && carries(names, token)
      ? { removed: false, reason: "breaking the lock goes on from it" }
      : { removed: true, reason };
  } catch (error) {
    if (!(error instanceof LockError)) throw error;
    return { removed: false, reason: error.message };
  }
}
