/**
 * N of M at a time: a semaphore that a killed holder gives back at once.
 *
 * @module
 */

import type { HolderInfo } from "../inspect/holder.ts";
import type { FlockAttempt, FlockHandle } from "../lock/flock/flock.ts";
import { checkNumber, checkOptions } from "../lock/check.ts";
import {
  type LockPath,
  type PathLike,
  toLockPath,
  toPath,
} from "../lock/lock_path.ts";
import { makeDirectories } from "../lock/lock_file.ts";
import { rejectForeignDirectory } from "../lock/symlink.ts";
import { quotePath } from "../proc/printable.ts";
import { ENOENT } from "../sys/errno.ts";
import { LockError, SyscallError } from "../sys/error.ts";
import { LockTimeoutError, whenGivenUp } from "../wait/lock_timeout_error.ts";
import { listDirectory } from "../sys/list_directory.ts";
import { namedPath } from "./lock_directory.ts";
import { HeldGroup, type LockGroup, releaseAll } from "../lock/lock_set.ts";
import { ScanLock } from "./scan_lock.ts";
import { mayBeNested, rejectWaitFor } from "../acquire/nested.ts";
import { type LockWaitOptions, WaitBudget } from "../acquire/budget.ts";
import { flockAttempt } from "../acquire/flock_attempt.ts";

/** How {@linkcode acquireSlots} takes slots. */
export interface AcquireSlotsOptions extends LockWaitOptions {
  /** How many slots there are, 1 to 4096. */
  slots: number;
  /** How many to take, all or none; 1 unless set. */
  want?: number | undefined;
  /**
   * Take turns with the others who set this, in the order of arrival: without
   * it, a caller that wants many may wait as long as others want few.
   */
  fair?: boolean | undefined;
}

/** One slot as {@linkcode readSlots} finds it. */
export interface SlotState {
  /** Its number, from 0. */
  slot: number;
  /** Its lock file. */
  path: string;
  /** Who sits in it; empty when it is free. */
  holders: HolderInfo[];
}

const MAX_SLOTS = 4096;

/** Held slots. */
export interface HeldSlots extends LockGroup {
  /** The directory of the slots. */
  readonly path: string;
  /** The numbers of the slots, ascending from 0. */
  readonly slots: readonly number[];
}

class SlotGroup extends HeldGroup implements HeldSlots {
  readonly slots: readonly number[];
  readonly #directory: string;

  constructor(
    directory: string,
    slots: readonly number[],
    members: readonly FlockHandle[],
  ) {
    super(members);
    this.slots = slots;
    this.#directory = directory;
  }

  override get path(): string {
    return this.#directory;
  }
}

/** Not enough slots were free until the deadline. */
export class SlotTimeoutError extends LockTimeoutError {
  /** The name of the class. */
  override name = "SlotTimeoutError";
  /**
   * Every slot just after the deadline; the message lists the taken ones. None
   * where /proc doesn't tell who sits in them.
   */
  readonly slots: readonly SlotState[];

  /** Made by {@linkcode acquireSlots}. */
  constructor(
    path: string,
    want: number,
    waitedMs: number,
    slots: readonly SlotState[],
    list: string,
  ) {
    const wanted = want === 1 ? "a slot" : `${want} slots`;
    const when = whenGivenUp(waitedMs);
    const free = slots.filter(({ holders }) => holders.length === 0).length;
    const count = slots.length === 0 ? "too few" : `${free} of ${slots.length}`;
    super(
      `Cannot get ${wanted} of ${quotePath(path)}: ${count} free ${when}; ` +
        `holders:\n${list}`,
      { path, waitedMs, holders: slots.flatMap(({ holders }) => holders) },
    );
    this.slots = slots;
  }
}

/**
 * The directory that the slots of a name are in.
 *
 * @param nameOrDirectory A name, or a path with a slash in it.
 * @throws {RangeError} when it is neither.
 */
export function slotDirectory(nameOrDirectory: PathLike): string {
  const path = toPath(nameOrDirectory, "nameOrDirectory");
  return namedPath(path, ".slots", "slot name");
}

/**
 * Takes one or more of a number of slots, waiting until enough are free, the
 * time is up or the signal aborts.
 *
 * A slot is a flock on the file `slot.N` of a directory: it is free the moment
 * its holder ends, however that ends. The lowest free ones are taken. Callers
 * may differ in `slots`: each looks at the first so many only, so that one who
 * says 2 gets slot 0 or 1, and one who says 8 may sit in any of 8.
 *
 * Permissions: `--allow-ffi`. See flock(2).
 *
 * @param nameOrDirectory A name, whose slots are in the lock directory, or the
 * path of a directory (with a slash in it), which is created.
 * @param options `slots`, `want`, `fair`, `timeoutMs`, `signal`.
 * @returns The slots, with their numbers; `using` gives them back.
 * @throws {SlotTimeoutError} when they were taken until the deadline; it names
 * the holders.
 * @throws {LockTimeoutError} when somebody who looked for free ones was stopped
 * in the middle of it, until the deadline.
 * @throws {RangeError} when `slots` or `want` is out of range.
 * @throws {SyscallError} when a slot can't be opened or locked.
 * @throws `signal.reason` when the signal aborts.
 *
 * @example
 * ```ts
 * import { acquireSlots } from "@holdfast/holdfast/patterns";
 *
 * using held = await acquireSlots("example", { slots: 4, timeoutMs: 5000 });
 * console.log(`one of four: slot ${held.slots[0]}`);
 * ```
 */
export async function acquireSlots(
  nameOrDirectory: PathLike,
  options: AcquireSlotsOptions,
): Promise<HeldSlots> {
  checkOptions(options);
  const { slots, want = 1, fair = false } = options;
  checkNumber(slots, "slots");
  checkNumber(want, "want");
  checkCounts(slots, want);
  const named = toLockPath(slotDirectory(nameOrDirectory));
  const { given, absolute: directory } = named;
  rejectForeignDirectory(named);
  makeDirectories(directory);
  const budget = new WaitBudget(options);
  const paths = Array.from(
    { length: slots },
    (_, slot) => `${directory}/slot.${slot}`,
  );
  const scan = new ScanLock(`${directory}/scan.lock`);
  const exclusive = { ...options, mode: "exclusive" } as const;
  const attempts = paths.map((path) => flockAttempt(path, exclusive));
  const timeout = async () => {
    if (scan.isBusy) return await budget.timeoutError(scan.path);
    // Without /proc nothing is known of who sits where.
    const states = await readSlotFiles(paths).catch((error) => {
      if (error instanceof LockError) return [];
      throw error;
    });
    return new SlotTimeoutError(
      given,
      want,
      options.timeoutMs === 0 ? 0 : budget.waitedMs,
      states,
      await formatSlotList(states),
    );
  };
  const rejectNested = async () => {
    if (!mayBeNested(options)) return;
    await rejectNestedSlots(toLockPath(directory), paths, want);
  };
  using turn = fair
    ? await (await import("./turnstile.ts"))
      .takeTurn(`${directory}/queue`, budget, { ...options, rejectNested })
    : undefined;
  if (fair && turn === undefined) throw await timeout();
  try {
    const target = {
      path: given,
      fds: () => attempts.map(({ fd }) => fd),
      rejectNested,
    };
    const held = await budget.wait(target, () => {
      // A single slot needs the scan lock only to tell slots that are taken
      // from those that somebody who wants more is about to give back.
      const single = want === 1 ? tryLowest(attempts, 1) : undefined;
      if (single?.size === 1) return single;
      using looking = scan.take();
      if (looking === undefined) return undefined;
      const locks = tryLowest(attempts, want);
      if (locks.size === want) return locks;
      releaseAll([...locks.values()]);
      return undefined;
    });
    if (held === undefined) throw await timeout();
    return new SlotGroup(given, [...held.keys()], [...held.values()]);
  } finally {
    for (const attempt of attempts) attempt[Symbol.dispose]();
  }
}

/** The lowest free ones, at most `want`. */
function tryLowest(
  attempts: readonly FlockAttempt[],
  want: number,
): Map<number, FlockHandle> {
  const locks = new Map<number, FlockHandle>();
  try {
    for (const [slot, attempt] of attempts.entries()) {
      const lock = attempt.try();
      if (lock !== undefined) locks.set(slot, lock);
      if (locks.size === want) break;
    }
    return locks;
  } catch (error) {
    releaseAll([...locks.values()]);
    throw error;
  }
}

/**
 * Refuses to wait for slots of which ancestors, who wait for this process, keep
 * too many.
 *
 * @throws {SelfDeadlockError} naming one of them.
 */
async function rejectNestedSlots(
  directory: LockPath,
  paths: readonly string[],
  want: number,
): Promise<void> {
  const { findWaitingAncestor, isStartedUnder } = await import(
    "../inspect/ancestor_holder.ts"
  );
  const states = await readSlotFiles(paths).catch(() => []);
  const kept = states.flatMap(({ holders }) => {
    const pids = holders.flatMap(({ pid }) => pid ?? []);
    return findWaitingAncestor(
      new Set(pids),
      (pid) => isStartedUnder(pid, directory.absolute),
    ) ?? [];
  });
  if (paths.length - kept.length < want) {
    await rejectWaitFor(directory, kept);
  }
}

function checkCounts(slots: number, want: number): void {
  if (!(Number.isInteger(slots) && slots >= 1 && slots <= MAX_SLOTS)) {
    throw new RangeError(`slots must be 1 to ${MAX_SLOTS}, got ${slots}`);
  }
  if (!(Number.isInteger(want) && want >= 1 && want <= slots)) {
    throw new RangeError(`want must be 1 to slots (${slots}), got ${want}`);
  }
}

/**
 * Who sits in which slot: every slot that has ever been used, by number.
 *
 * Permissions: `--allow-ffi`; processes of other users need root. See
 * proc_locks(5).
 *
 * @param nameOrDirectory As for {@linkcode acquireSlots}; nothing is created.
 * @returns The slots; none when there is no such directory.
 * @throws {SyscallError} when the directory or /proc can't be read.
 *
 * @example
 * ```ts
 * import { readSlots } from "@holdfast/holdfast/patterns";
 *
 * for (const { slot, holders } of await readSlots("example")) {
 *   console.log(slot, holders.map(({ pid }) => pid));
 * }
 * ```
 */
export async function readSlots(
  nameOrDirectory: PathLike,
): Promise<SlotState[]> {
  const named = toLockPath(slotDirectory(nameOrDirectory));
  const { given, absolute: directory } = named;
  const names = listDirectory(directory);
  if (names === -ENOENT) return [];
  if (typeof names === "number") {
    throw new SyscallError("list slots in", {
      syscall: "open",
      errno: -names,
      path: given,
    });
  }
  const numbers = names.flatMap((name) => {
    const number = /^slot\.(0|[1-9]\d{0,3})$/.exec(name)?.[1];
    return number === undefined ? [] : [Number(number)];
  });
  return await readSlotFiles(
    numbers.sort((a, b) => a - b).map((slot) => `${directory}/slot.${slot}`),
  );
}

/** Inspection is loaded only when there is somebody to name. */
async function readSlotFiles(paths: readonly string[]): Promise<SlotState[]> {
  const { readLockPartiesForNeedles } = await import("../inspect/holder.ts");
  const { needleFromPath } = await import("../inspect/needle.ts");
  const files = paths.flatMap((path) => {
    const needle = needleFromPath(path);
    return needle === undefined ? [] : [{ path, needle }];
  });
  const parties = readLockPartiesForNeedles(files.map(({ needle }) => needle));
  return files.map(({ path }, index) => ({
    slot: Number(path.slice(path.lastIndexOf(".") + 1)),
    path,
    holders: parties[index]!.holders,
  }));
}

/** The taken slots as text, a line for each holder. */
async function formatSlotList(states: readonly SlotState[]): Promise<string> {
  const { formatHolder, NO_HOLDERS_RECORDED } = await import(
    "../inspect/holder.ts"
  );
  const lines = states.flatMap(({ slot, holders }) =>
    holders.map((holder) => `  slot ${slot}: ${formatHolder(holder)}`)
  );
  return lines.length === 0 ? `  ${NO_HOLDERS_RECORDED}` : lines.join("\n");
}
