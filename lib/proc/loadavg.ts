import { ProcParseError } from "./error.ts";

/** The system's load, see proc_loadavg(5). */
export interface LoadAverage {
  /** Runnable and uninterruptible tasks, averaged over 1 minute. */
  one: number;
  /** The same over 5 minutes. */
  five: number;
  /** The same over 15 minutes. */
  fifteen: number;
  /** Tasks that run or could run now. */
  running: number;
  /** Tasks there are. */
  total: number;
  /** The process id that was given last. */
  lastPid: number;
}

const LOADAVG =
  /^(\d{1,15}\.\d{1,15}) (\d{1,15}\.\d{1,15}) (\d{1,15}\.\d{1,15}) (\d{1,15})\/(\d{1,15}) (\d{1,15})\s*$/;

/**
 * Parses the text of /proc/loadavg.
 *
 * Needs no permission. See proc_loadavg(5).
 *
 * @param text The text of the file: `0.20 0.18 0.12 1/80 11206`.
 * @param source The file that an error names.
 * @returns The averages and counts.
 * @throws {ProcParseError} If the text has another form.
 *
 * @example
 * ```ts
 * import { parseLoadavg } from "./loadavg.ts";
 * console.log(parseLoadavg("0.20 0.18 0.12 1/80 11206\n").five); // 0.18
 * ```
 */
export function parseLoadavg(
  text: string,
  source: string = "/proc/loadavg",
): LoadAverage {
  const match = LOADAVG.exec(text);
  if (match === null) {
    throw new ProcParseError(
      "three averages, running/total and a process id",
      { source, line: 1, text: text.split("\n", 1)[0]! },
    );
  }
  const [one, five, fifteen, running, total, lastPid] = match.slice(1)
    .map(Number) as [number, number, number, number, number, number];
  return { one, five, fifteen, running, total, lastPid };
}
