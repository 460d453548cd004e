/**
 * Which CPUs satisfy a request, and in which order they are tried.
 *
 * @module
 */

import { rejectArgument } from "../lock/check.ts";
import { releaseAll } from "../lock/lock_set.ts";
import { formatCpuList } from "../proc/cpulist.ts";
import type { CacheDomain } from "./cpu_topology.ts";
import type { AcquireCpusOptions } from "./cpu_reservation.ts";

type Wish = Pick<AcquireCpusOptions, "cpus" | "domains" | "sameDomain">;

/** Enough of some cache domains: the CPUs of each, and how many in all. */
export interface Choice {
  domains: readonly CacheDomain[];
  /** How many CPUs to take of them, in ascending order. */
  count: number;
  /** Whether `count` is of domains, whose CPUs go together. */
  whole: boolean;
}

/** The ways to satisfy a request, the best one first. */
export function findChoices(
  all: readonly CacheDomain[],
  options: Wish,
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

/** A CPU or a cache domain, by the name of its lock. */
export type ResourceKind = "LLC" | "CPU";

/** What was taken for a request. */
export interface Taken<Lock> {
  cpus: number[];
  domains: number[];
  locks: Lock[];
}

/**
 * Takes what one choice needs, all or nothing.
 *
 * @param take Takes one lock; `undefined` when it is busy.
 */
export function takeChoice<Lock extends { release(): void }>(
  { domains: candidates, count, whole }: Choice,
  take: (kind: ResourceKind, index: number) => Lock | undefined,
): Taken<Lock> | undefined {
  const locks: Lock[] = [];
  const cpus: number[] = [];
  const domains: number[] = [];
  const isEnough = () => (whole ? domains : cpus).length === count;
  try {
    for (const domain of candidates) {
      if (isEnough()) break;
      const domainLock = take("LLC", domain.index);
      if (domainLock === undefined) continue;
      const taken = new Map<number, Lock>();
      for (const cpu of domain.cpus) {
        if (!whole && cpus.length + taken.size === count) break;
        const lock = take("CPU", cpu);
        if (lock !== undefined) taken.set(cpu, lock);
      }
      const tooFew = taken.size === 0 ||
        whole && taken.size < domain.cpus.length;
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
  if (isEnough()) return { cpus: cpus.sort((a, b) => a - b), domains, locks };
  releaseAll(locks);
  return undefined;
}
