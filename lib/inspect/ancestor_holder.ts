/**
 * Holders of a lock that wait for this very process.
 *
 * @module
 */

import { readBytes } from "../sys/file.ts";
import { isInheritable } from "../sys/process/descriptors.ts";
import { readAncestors } from "../sys/process/process_info.ts";
import { scanDescriptorsOf } from "./descriptor_scan.ts";
import {
  formatHolder,
  type HolderInfo,
  NO_HOLDERS_RECORDED,
} from "./holder.ts";
import { formatNeedle, needleFromPath } from "./needle.ts";

/** The variable that tells a command which locks are held for it. */
export const HELD_LOCKS_VARIABLE = "HOLDFAST_LOCK";

/**
 * The nearest ancestor of this process that holds a lock for its descendants:
 * it, or the child that leads to this process, was told so when it started.
 * `holdfast run` is such a process, and waits for its command; a command that
 * has inherited the lock, or became one by `--exec`, is another.
 *
 * A shell that holds a lock by a descriptor of its own is not: it may release
 * it while its background job waits.
 *
 * Permissions: `--allow-ffi`; of other users' processes the environment can't
 * be read. See proc_pid_environ(5).
 *
 * @param holders Their process ids.
 * @param isTold Whether a process was told at its start that it is held for it.
 * @returns Its process id; `undefined` when there is none, or without /proc.
 */
export function findWaitingAncestor(
  holders: ReadonlySet<number>,
  isTold: (pid: number) => boolean,
): number | undefined {
  const line = [Deno.pid, ...readAncestors(Deno.pid)];
  for (let i = 1; i < line.length; i++) {
    const [child, ancestor] = [line[i - 1]!, line[i]!];
    if (!holders.has(ancestor)) continue;
    if (isTold(ancestor) || isTold(child)) return ancestor;
  }
  return undefined;
}

/**
 * Whether this process holds a lock by a descriptor that it was started with:
 * it has taken the place of a command that had the lock.
 *
 * Permissions: `--allow-ffi`.
 *
 * @param path The lock, from the root.
 */
export function hasInheritedLock(path: string): boolean {
  const key = isStartedUnder(Deno.pid, path) ? fileKey(path) : undefined;
  return key !== undefined &&
    scanDescriptorsOf(Deno.pid).some(({ fd, locks }) =>
      isInheritable(fd) &&
      locks.some(({ device, inode }) =>
        device !== undefined && formatNeedle({ ...device, inode }) === key
      )
    );
}

/**
 * Holders as text for one who waits for them: those that are this process, or
 * ancestors of it, are marked.
 *
 * @returns A line for each process; one that says so when there are none.
 */
export function formatHoldersInTheWay(
  holders: readonly HolderInfo[],
): string[] {
  if (holders.length === 0) return [NO_HOLDERS_RECORDED];
  const ancestors = readAncestors(Deno.pid);
  const lines = holders.map((holder) => {
    const { pid } = holder;
    const mark = pid === Deno.pid
      ? " (this process)"
      : pid !== undefined && ancestors.includes(pid)
      ? " (an ancestor of this process)"
      : "";
    return formatHolder(holder) + mark;
  });
  // Who holds a flock and an OFD lock, or several ranges, is named once.
  return lines.filter((line, index) =>
    holders[index]!.pid === undefined || lines.indexOf(line) === index
  );
}

/**
 * Whether a process was told at its start, in HOLDFAST_LOCK, that a lock is held
 * for it.
 *
 * @param path The lock, from the root.
 */
export function isStartedUnder(pid: number, path: string): boolean {
  const value = readInitialVariable(pid, HELD_LOCKS_VARIABLE);
  if (value === undefined) return false;
  // A path may have colons of its own.
  if (`:${value}:`.includes(`:${path}:`)) return true;
  const key = fileKey(path);
  return key !== undefined &&
    value.split(":").some((other) => fileKey(other) === key);
}

/** Names a file; `undefined` where there is none, or it can't be looked up. */
function fileKey(path: string): string | undefined {
  try {
    const needle = path.startsWith("/") ? needleFromPath(path) : undefined;
    return needle && formatNeedle(needle);
  } catch {
    return undefined;
  }
}

const decoder = new TextDecoder();

/** A variable of the environment that a process was started with. */
export function readInitialVariable(
  pid: number,
  name: string,
): string | undefined {
  const bytes = readBytes(`/proc/${pid}/environ`);
  if (typeof bytes === "number") return undefined;
  return decoder.decode(bytes).split("\0")
    .find((entry) => entry.startsWith(`${name}=`))
    ?.slice(name.length + 1);
}
