/**
 * CPUs and caches of this host, reserved for one program or shared by some.
 *
 * @module
 */

import type { HolderInfo } from "../inspect/holder.ts";
import type {
  FlockAttempt,
  FlockHandle,
  LockMode,
} from "../lock/flock/flock.ts";
import { checkOptions } from "../lock/check.ts";
import { type PathLike, toLockPath } from "../lock/lock_path.ts";
import { makeDirectories } from "../lock/lock_file.ts";
import { getAffinity } from "../sys/process/affinity.ts";
import { LockTimeoutError, whenGivenUp } from "../wait/lock_timeout_error.ts";
import {
  type Choice,
  findChoices,
  type ResourceKind,
  takeChoice,
} from "./cpu_choice.ts";
import { readCacheDomains } from "./cpu_topology.ts";
import { lockDirectory } from "./lock_directory.ts";
import { HeldGroup, type LockGroup } from "../lock/lock_set.ts";
import { ScanLock } from "./scan_lock.ts";
import { type LockWaitOptions, WaitBudget } from "../acquire/budget.ts";
import { findKeeper, mayBeNested, selfDeadlock } from "../acquire/nested.ts";
import { flockAttempt } from "../acquire/flock_attempt.ts";

/** What {@linkcode acquireCpus} is to reserve, and how. */
export interface AcquireCpusOptions extends LockWaitOptions {
  /** So many CPUs, or exactly these. */
  cpus?: number | readonly number[] | undefined;
  /** So many whole cache domains, or exactly these; instead of `cpus`. */
  domains?: number | readonly number[] | undefined;
  /** All CPUs from one cache domain. */
  sameDomain?: boolean | undefined;
  /**
   * `dedicated`, unless set: nobody else gets these CPUs, their cache
   * neighbours may be others'. `performance`: nobody else gets a CPU of these
   * cache domains. `shared`: others may share the CPUs with us.
   */
  use?: "performance" | "dedicated" | "shared" | undefined;
  /** Where the locks are; `cpu` in the lock directory unless set. */
  directory?: PathLike | undefined;
  /** Where the topology is read; `/sys/devices/system` unless set. */
  topologyRoot?: string | undefined;
  /** CPUs to choose from; those this thread may run on unless set. */
  allowed?: readonly number[] | undefined;
}

/** Reserved CPUs. */
export interface CpuReservation extends LockGroup {
  /** The CPUs, ascending. */
  readonly cpus: readonly number[];
  /** The numbers of their cache domains, ascending. */
  readonly domains: readonly number[];
}

class CpuGroup extends HeldGroup implements CpuReservation {
  readonly cpus: readonly number[];
  readonly domains: readonly number[];

  constructor(
    cpus: readonly number[],
    domains: readonly number[],
    members: readonly FlockHandle[],
  ) {
    super(members);
    this.cpus = cpus;
    this.domains = domains;
  }
}

/** A CPU or cache domain that was in the way. */
export interface BusyResource {
  /** `LLC 0` or `CPU 3`. */
  name: string;
  /** Its lock file. */
  path: string;
  /** Who holds it. */
  holders: HolderInfo[];
}

/** CPUs were taken until the deadline. */
export class CpuTimeoutError extends LockTimeoutError {
  /** The name of the class. */
  override name = "CpuTimeoutError";
  /** What was in the way just after the deadline. */
  readonly busy: readonly BusyResource[];

  /** Made by {@linkcode acquireCpus}. */
  constructor(
    directory: string,
    waitedMs: number,
    busy: readonly BusyResource[],
    lines: readonly string[],
  ) {
    const when = whenGivenUp(waitedMs);
    super(`Cannot reserve CPUs: not enough free ${when}\n${lines.join("\n")}`, {
      path: directory,
      waitedMs,
      holders: busy.flatMap(({ holders }) => holders),
    });
    this.busy = busy;
  }
}

/**
 * Reserves CPUs or whole cache domains of this host, all or none, waiting until
 * they are free, the time is up or the signal aborts.
 *
 * Each CPU and each last-level cache has a lock file; a reservation holds that
 * of each of its cache domains and then those of its CPUs, in ascending order.
 * It binds only those who reserve too, by the same directory: locks of a
 * per-user directory are between programs of one user. To run on the CPUs is
 * the caller's business; `run --cpus` does it.
 *
 * Free CPUs are looked for in one cache domain first, and then, unless
 * `sameDomain` is set, in all of them.
 *
 * Permissions: `--allow-ffi`. See flock(2), sched_getaffinity(2).
 *
 * @param options `cpus` or `domains`, `sameDomain`, `use`, `timeoutMs`.
 * @returns What was reserved; `using` gives it back.
 * @throws {CpuTimeoutError} when too much was taken until the deadline; it says
 * what, and by whom.
 * @throws {LockTimeoutError} when somebody who looked for free ones was stopped
 * in the middle of it, until the deadline.
 * @throws {RangeError} when this host can't ever give so much.
 * @throws {SyscallError} when a lock file or the topology can't be read.
 * @throws `signal.reason` when the signal aborts.
 *
 * @example
 * ```ts
 * import { acquireCpus } from "@holdfast/holdfast/patterns";
 *
 * using mine = await acquireCpus({ cpus: 1, timeoutMs: 5000 });
 * console.log(mine.cpus);
 * ```
 */
export async function acquireCpus(
  options: AcquireCpusOptions,
): Promise<CpuReservation> {
  checkOptions(options);
  const directory = options.directory === undefined
    ? `${lockDirectory()}/cpu`
    : toLockPath(options.directory, "directory").absolute;
  const allowed = new Set(options.allowed ?? getAffinity());
  const choices = findChoices(
    readCacheDomains(options.topologyRoot).map((domain) => ({
      ...domain,
      cpus: domain.cpus.filter((cpu) => allowed.has(cpu)),
    })).filter(({ cpus }) => cpus.length > 0),
    options,
  );
  makeDirectories(directory);
  using locks = new ResourceLocks(directory, options);
  const budget = new WaitBudget(options);
  const target = {
    path: directory,
    fds: () => locks.busyFds(),
    rejectNested: () => locks.rejectNested(choices),
  };
  const scan = new ScanLock(`${directory}/scan.lock`);
  const reservation = await budget.wait(target, () => {
    using looking = scan.take();
    if (looking === undefined) return undefined;
    locks.forgetBusy();
    for (const choice of choices) {
      const reservation = locks.tryTake(choice);
      if (reservation !== undefined) return reservation;
    }
    return undefined;
  });
  if (reservation !== undefined) return reservation;
  if (scan.isBusy) throw await budget.timeoutError(scan.path);
  const waitedMs = options.timeoutMs === 0 ? 0 : budget.waitedMs;
  throw await timeoutError(directory, waitedMs, locks.busyNames());
}

/** Tells a command which CPUs are reserved for it. */
const CPUS_VARIABLE = "HOLDFAST_CPUS";

/** The lock files of CPUs and caches, kept open between attempts. */
class ResourceLocks implements Disposable {
  readonly #directory: string;
  readonly #options: AcquireCpusOptions;
  readonly #attempts = new Map<string, FlockAttempt>();
  readonly #busy = new Set<string>();

  constructor(directory: string, options: AcquireCpusOptions) {
    this.#directory = directory;
    this.#options = options;
  }

  tryTake(choice: Choice): CpuReservation | undefined {
    const taken = takeChoice(choice, (kind, index) => this.#try(kind, index));
    return taken && new CpuGroup(taken.cpus, taken.domains, taken.locks);
  }

  #mode(kind: ResourceKind): LockMode {
    const { use } = this.#options;
    const isShared = kind === "CPU" ? use === "shared" : use !== "performance";
    return isShared ? "shared" : "exclusive";
  }

  #try(kind: ResourceKind, index: number): FlockHandle | undefined {
    const name = `${kind} ${index}`;
    let attempt = this.#attempts.get(name);
    if (attempt === undefined) {
      const mode = this.#mode(kind);
      attempt = flockAttempt(this.#path(name), { ...this.#options, mode });
      this.#attempts.set(name, attempt);
    }
    const lock = attempt.try();
    if (lock === undefined) this.#busy.add(name);
    return lock;
  }

  #path(name: string): string {
    return `${this.#directory}/${name.toLowerCase().replace(" ", ".")}.lock`;
  }

  /**
   * Refuses to wait for CPUs of which ancestors, who wait for this process,
   * keep too many.
   *
   * @throws {SelfDeadlockError} naming one of them.
   */
  async rejectNested(choices: readonly Choice[]): Promise<void> {
    if (!mayBeNested(this.#options, CPUS_VARIABLE)) return;
    const keepers = new Map<string, number>();
    for (const name of this.#busy) {
      const mode = this.#mode(name.startsWith("CPU") ? "CPU" : "LLC");
      const conflict = { types: ["FLOCK"], mode };
      const pid = await findKeeper(this.#path(name), conflict, CPUS_VARIABLE);
      if (pid !== undefined) keepers.set(name, pid);
    }
    const [first] = keepers;
    const mayEnd = (choice: Choice) =>
      takeChoice(
        choice,
        (kind, index) =>
          keepers.has(`${kind} ${index}`) ? undefined : { release() {} },
      ) !== undefined;
    if (first === undefined || choices.some(mayEnd)) return;
    const [name, pid] = first;
    throw await selfDeadlock(this.#path(name), pid, "ancestor");
  }

  forgetBusy(): void {
    this.#busy.clear();
  }

  busyFds(): number[] {
    return [...this.#busy].map((name) => this.#attempts.get(name)!.fd);
  }

  busyNames(): { name: string; path: string }[] {
    return [...this.#busy].map((name) => ({ name, path: this.#path(name) }));
  }

  [Symbol.dispose](): void {
    for (const attempt of this.#attempts.values()) attempt[Symbol.dispose]();
  }
}

async function timeoutError(
  directory: string,
  waitedMs: number,
  names: readonly { name: string; path: string }[],
): Promise<CpuTimeoutError> {
  const { formatHolder, readHoldersIfAny } = await import(
    "../inspect/holder.ts"
  );
  const busy = names.map(({ name, path }) => ({
    name,
    path,
    holders: readHoldersIfAny(path),
  }));
  const lines = busy.flatMap(({ name, holders }) => [
    `${name} busy`,
    ...holders.map((holder) => `  ${formatHolder(holder)}`),
  ]);
  return new CpuTimeoutError(directory, waitedMs, busy, lines);
}
