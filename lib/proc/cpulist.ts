/**
 * Lists of CPUs as the kernel writes them: `0-3,8,10-11`.
 *
 * @module
 */

import { ProcParseError } from "./error.ts";

/** More than any kernel is built for (NR_CPUS is at most 8192). */
const MAX_CPU = 65_535;

/**
 * Reads a list of CPUs, as in `/sys/devices/system/cpu/online`. An empty list
 * is an empty text. Needs no permission.
 *
 * @param text The text, with or without a line feed at its end.
 * @param source Names the file in errors.
 * @returns The numbers, ascending, each once.
 * @throws {ProcParseError} when it isn't such a list.
 *
 * @example
 * ```ts
 * import { parseCpuList } from "./cpulist.ts";
 * console.log(parseCpuList("0-2,8\n")); // [ 0, 1, 2, 8 ]
 * ```
 */
export function parseCpuList(text: string, source = "cpulist"): number[] {
  const line = text.trim();
  const cpus = new Set<number>();
  for (const part of line === "" ? [] : line.split(",")) {
    const [, start, end = start] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part) ??
      [];
    const first = Number(start);
    const last = Number(end);
    if (!(first <= last && last <= MAX_CPU)) {
      throw new ProcParseError("a list of CPUs such as 0-3,8", {
        source,
        line: 1,
        text: line,
      });
    }
    for (let cpu = first; cpu <= last; cpu++) cpus.add(cpu);
  }
  return [...cpus].sort((a, b) => a - b);
}

/**
 * Writes a list of CPUs as the kernel does, neighbours as a range. Needs no
 * permission.
 *
 * @param cpus CPU numbers in any order.
 *
 * @example
 * ```ts
 * import { formatCpuList } from "./cpulist.ts";
 * console.log(formatCpuList([8, 0, 1, 2])); // 0-2,8
 * ```
 */
export function formatCpuList(cpus: readonly number[]): string {
  const ranges: [first: number, last: number][] = [];
  for (const cpu of [...new Set(cpus)].sort((a, b) => a - b)) {
    const range = ranges.at(-1);
    if (range !== undefined && range[1] === cpu - 1) range[1] = cpu;
    else ranges.push([cpu, cpu]);
  }
  return ranges.map(([first, last]) =>
    first === last ? `${first}` : `${first}-${last}`
  ).join(",");
}
