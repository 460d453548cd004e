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
import { checkOptions, rejectArgument } from "../lock/check.ts";
import { type PathLike, toLockPath } from "../lock/lock_path.ts";
import { makeDirectories } from "../lock/lock_file.ts";
import { formatCpuList } from "../proc/cpulist.ts";
import { getAffinity } from "../sys/process/affinity.ts";
import { LockTimeoutError } from "../wait/lock_timeout_error.ts";
import { type CacheDomain, readCacheDomains } from "./cpu_topology.ts";
import { lockDirectory } from "./lock_directory.ts";
import { HeldGroup, type LockGroup, releaseAll } from "../lock/lock_set.ts";
import { ScanLock } from "./scan_lock.ts";
import { type CoordOptions, WaitBudget } from "../acquire/budget.ts";
import { flockAttempt } from "../acquire/flock_attempt.ts";

/** What {@linkcode reserveCpus} is to reserve, and how. */
export interface ReserveOptions extends CoordOptions {
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

  /** Made by {@linkcode reserveCpus}. */
  constructor(
    directory: string,
    waitedMs: number,
    busy: readonly BusyResource[],
    lines: readonly string[],
  ) {
    const when = waitedMs === 0 ? "now" : `after ${Math.ceil(waitedMs)} ms`;
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
 * import { reserveCpus } from "@holdfast/holdfast/patterns";
 *
 * using mine = await reserveCpus({ cpus: 1, timeoutMs: 5000 });
 * console.log(mine.cpus);
 * ```
 */
export async function reserveCpus(
  options: ReserveOptions,
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
  const target = { path: directory, fds: () => locks.busyFds() };
  const scan = new ScanLock(`${directory}/scan.lock`);
  const reservation = await budget.wait(target, () => {
    using looking = scan.take();
    if (looking === undefined) return undefined;
    locks.forgetBusy();
    for (const choice of choices) {
      const reservation = locks.tryTake(choice, options.use ?? "dedicated");
      if (reservation !== undefined) return reservation;
    }
    return undefined;
  });
  if (reservation !== undefined) return reservation;
  if (scan.isBusy) throw await budget.timeoutError(scan.path);
  const waitedMs = options.timeoutMs === 0 ? 0 : budget.waitedMs;
  throw await timeoutError(directory, waitedMs, locks.busyNames());
}

/** Enough of some cache domains: the CPUs of each, and how many in all. */
interface Choice {
  domains: readonly CacheDomain[];
  /** How many CPUs to take of them, in ascending order. */
  count: number;
  /** Whether `count` is of domains, whose CPUs go together. */
  whole: boolean;
}

/** The ways to satisfy a request, the best one first. */
function findChoices(
  all: readonly CacheDomain[],
  options: ReserveOptions,
): Choice[] {
  const { cpus, domains, sameDomain = false } = options;
  for (const [name, value] of Object.entries({ cpus, domains })) {
    if (value !== undefined && typeof value !== "number") {
      if (!Array.isArray(value)) {
        rejectArgument(name, "a number or an array", value);
      }
    }
  }
  if ((cpus === undefined) === (domains === undefined)) {
    throw new RangeError("Either cpus or domains must be given");
  }
  if (typeof domains === "number") {
    checkCount(domains, all.length, "cache domains");
    return [{ domains: all, count: domains, whole: true }];
  }
  if (domains !== undefined) {
    const chosen = all.filter(({ index }) => domains.includes(index));
    checkAll(domains, chosen.map(({ index }) => index), "cache domains");
    return [{ domains: chosen, count: chosen.length, whole: true }];
  }
  if (typeof cpus === "number") {
    const largest = Math.max(0, ...all.map(({ cpus }) => cpus.length));
    const total = all.reduce((sum, { cpus }) => sum + cpus.length, 0);
    const where = sameDomain ? "CPUs of one cache domain" : "CPUs";
    checkCount(cpus, sameDomain ? largest : total, where);
    const single = all.filter((domain) => domain.cpus.length >= cpus)
      .map((domain) => ({ domains: [domain], count: cpus, whole: false }));
    const spread = { domains: all, count: cpus, whole: false };
    return sameDomain || all.length === 1 ? single : [...single, spread];
  }
  const chosen = all.map((domain) => ({
    ...domain,
    cpus: domain.cpus.filter((cpu) => cpus!.includes(cpu)),
  })).filter((domain) => domain.cpus.length > 0);
  const found = chosen.flatMap((domain) => domain.cpus);
  checkAll(cpus!, found, "CPUs");
  if (sameDomain && chosen.length > 1) {
    throw new RangeError(
      `CPUs ${formatCpuList(cpus!)} are in ${chosen.length} cache domains`,
    );
  }
  return [{ domains: chosen, count: found.length, whole: false }];
}

function checkCount(count: number, most: number, what: string): void {
  if (Number.isInteger(count) && count >= 1 && count <= most) return;
  throw new RangeError(
    `Cannot reserve ${count} ${what}: this process may use ${most}`,
  );
}

function checkAll(
  wanted: readonly number[],
  found: readonly number[],
  what: string,
): void {
  const missing = wanted.filter((number) => !found.includes(number));
  if (wanted.length > 0 && missing.length === 0) return;
  throw new RangeError(
    wanted.length === 0
      ? `Cannot reserve an empty list of ${what}`
      : `Cannot reserve ${what} ${formatCpuList(missing)}: ` +
        "they are offline, not there, or this process may not use them",
  );
}

/** The lock files of CPUs and caches, kept open between attempts. */
class ResourceLocks implements Disposable {
  readonly #directory: string;
  readonly #options: ReserveOptions;
  readonly #attempts = new Map<string, FlockAttempt>();
  readonly #busy = new Set<string>();

  constructor(directory: string, options: ReserveOptions) {
    this.#directory = directory;
    this.#options = options;
  }

  tryTake(
    choice: Choice,
    use: NonNullable<ReserveOptions["use"]>,
  ): CpuReservation | undefined {
    const locks: FlockHandle[] = [];
    const cpus: number[] = [];
    const domains: number[] = [];
    const cpuMode = use === "shared" ? "shared" : "exclusive";
    const domainMode = use === "performance" ? "exclusive" : "shared";
    const isEnough = () =>
      (choice.whole ? domains : cpus).length === choice.count;
    try {
      for (const domain of choice.domains) {
        if (isEnough()) break;
        const domainLock = this.#try("LLC", domain.index, domainMode);
        if (domainLock === undefined) continue;
        const taken = new Map<number, FlockHandle>();
        for (const cpu of domain.cpus) {
          if (!choice.whole && cpus.length + taken.size === choice.count) break;
          const lock = this.#try("CPU", cpu, cpuMode);
          if (lock !== undefined) taken.set(cpu, lock);
        }
        const tooFew = taken.size === 0 ||
          choice.whole && taken.size < domain.cpus.length;
        if (tooFew) {
          releaseAll([domainLock, ...taken.values()]);
          continue;
        }
        locks.push(domainLock, ...taken.values());
        cpus.push(...taken.keys());
        domains.push(domain.index);
      }
    } catch (error) {
      releaseAll(locks);
      throw error;
    }
    if (isEnough()) {
      return new CpuGroup(cpus.sort((a, b) => a - b), domains, locks);
    }
    releaseAll(locks);
    return undefined;
  }

  #try(
    kind: "LLC" | "CPU",
    index: number,
    mode: LockMode,
  ): FlockHandle | undefined {
    const name = `${kind} ${index}`;
    let attempt = this.#attempts.get(name);
    if (attempt === undefined) {
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
