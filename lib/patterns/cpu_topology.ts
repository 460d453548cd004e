/**
 * Which CPUs there are and which of them share a cache.
 *
 * @module
 */

import { parseCpuList } from "../proc/cpulist.ts";
import { readText, readTextIfAny } from "../sys/file.ts";
import { listDirectory } from "../sys/list_directory.ts";

/** CPUs behind one last-level cache. */
export interface CacheDomain {
  /** Its number: domains are counted from 0 by their first CPUs. */
  index: number;
  /** The CPUs that are online, ascending. */
  cpus: number[];
  /** The NUMA node of its first CPU; `undefined` where there are none. */
  node: number | undefined;
}

const SYSTEM_ROOT = "/sys/devices/system";

/**
 * Reads the last-level caches of this host. Where the kernel doesn't tell of
 * caches, as in many virtual machines, a domain is a package.
 *
 * Permissions: `--allow-ffi`. See
 * Documentation/ABI/testing/sysfs-devices-system-cpu of the kernel.
 *
 * @param root Where `cpu` and `node` are; `/sys/devices/system` unless given.
 * @returns The domains, ascending by their first CPUs.
 * @throws {SyscallError} when there is no such directory.
 * @throws {ProcParseError} when a list there can't be understood.
 *
 * @example
 * ```ts
 * import { readCacheDomains } from "@holdfast/holdfast/patterns";
 *
 * for (const { index, cpus } of readCacheDomains()) console.log(index, cpus);
 * ```
 */
export function readCacheDomains(root: string = SYSTEM_ROOT): CacheDomain[] {
  const source = `${root}/cpu/online`;
  const online = parseCpuList(readText(source), source);
  const nodes = readNodes(root);
  const byShared = new Map<string, number[]>();
  for (const cpu of online) {
    const key = domainKey(root, cpu);
    const known = byShared.get(key);
    if (known === undefined) byShared.set(key, [cpu]);
    else known.push(cpu);
  }
  return [...byShared.values()].sort((a, b) => a[0]! - b[0]!)
    .map((cpus, index) => ({ index, cpus, node: nodes.get(cpus[0]!) }));
}

/** What CPUs of one domain have in common. */
function domainKey(root: string, cpu: number): string {
  const directory = `${root}/cpu/cpu${cpu}`;
  const names = listDirectory(`${directory}/cache`);
  let level = 0;
  let shared: string | undefined;
  for (const name of typeof names === "number" ? [] : names) {
    const cache = `${directory}/cache/${name}`;
    const itsLevel = Number(readTextIfAny(`${cache}/level`) ?? NaN);
    const type = readTextIfAny(`${cache}/type`)?.trim();
    if (!(itsLevel > level) || type === "Instruction") continue;
    const list = readTextIfAny(`${cache}/shared_cpu_list`);
    if (list === undefined) continue;
    level = itsLevel;
    shared = parseCpuList(list, `${cache}/shared_cpu_list`).join();
  }
  if (shared !== undefined) return `cache ${shared}`;
  const physical = readTextIfAny(`${directory}/topology/physical_package_id`);
  return `package ${physical?.trim() ?? 0}`;
}

/** The NUMA node of each CPU. */
function readNodes(root: string): Map<number, number> {
  const nodes = new Map<number, number>();
  const names = listDirectory(`${root}/node`);
  for (const name of typeof names === "number" ? [] : names) {
    const node = /^node(\d+)$/.exec(name)?.[1];
    if (node === undefined) continue;
    const source = `${root}/node/${name}/cpulist`;
    for (const cpu of parseCpuList(readTextIfAny(source) ?? "", source)) {
      nodes.set(cpu, Number(node));
    }
  }
  return nodes;
}
