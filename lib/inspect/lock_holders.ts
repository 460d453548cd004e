import type { JoinedLock } from "./lock_join.ts";

/**
 * How a holder is known. `taker`: its pid stands in /proc/locks.
 * `descriptor`: one of its descriptors carries the lock, which also finds
 * children that inherited it.
 */
export type HolderSource = "taker" | "descriptor";

/** A process that holds a lock. */
export interface LockHolderRef {
  /** Its process id here; `undefined` when the kernel doesn't tell. */
  pid: number | undefined;
  /** The descriptors it holds the lock through. */
  fds: number[];
  /** How it is known. */
  sources: readonly HolderSource[];
}

/** A holder that is still being put together. */
type OpenHolder = LockHolderRef & { sources: HolderSource[] };

/* Nearly every lock is held by its taker through one descriptor: that case is
 * made as cheap as it can be. */
const BOTH_SOURCES: HolderSource[] = ["taker", "descriptor"];

/**
 * The processes that hold a lock, by pid.
 *
 * The taker's pid may be dead or another process's by now: it counts only
 * when its descriptors carry the lock, may not be read, or nobody else's do.
 *
 * @param unreadable Processes whose descriptors may not be read.
 */
export function processesHolding(
  lock: JoinedLock,
  unreadable: ReadonlySet<number>,
): LockHolderRef[] {
  const [only, second] = lock.descriptors;
  if (
    only !== undefined && second === undefined && only.pid === lock.line.pid
  ) {
    return [{ pid: only.pid, fds: [only.fd], sources: BOTH_SOURCES }];
  }
  const holders = new Map<number, OpenHolder>();
  for (const { pid, fd } of lock.descriptors) {
    const known = holders.get(pid);
    if (known === undefined) {
      holders.set(pid, { pid, fds: [fd], sources: ["descriptor"] });
    } else if (!known.fds.includes(fd)) {
      known.fds.push(fd);
    }
  }
  const takerPid = lock.line.pid > 0 ? lock.line.pid : undefined;
  const taker = takerPid === undefined ? undefined : holders.get(takerPid);
  if (taker !== undefined) {
    taker.sources.unshift("taker");
  } else if (
    holders.size === 0 ||
    (takerPid !== undefined && unreadable.has(takerPid))
  ) {
    const known: LockHolderRef = { pid: takerPid, fds: [], sources: ["taker"] };
    return [...holders.values(), known].sort(byPid);
  }
  return holders.size === 1
    ? [...holders.values()]
    : [...holders.values()].sort(byPid);
}

function byPid(a: LockHolderRef, b: LockHolderRef): number {
  return (a.pid ?? 0) - (b.pid ?? 0);
}
