/**
 * Parsers of /proc/PID/stat and /proc/PID/status.
 *
 * Text in, values out: nothing is read and no permission is needed. The reader
 * decodes the files as UTF-8, with U+FFFD for bytes that aren't.
 *
 * @module
 */
import { ProcParseError } from "./error.ts";

/** What /proc/PID/stat says of a process, see proc_pid_stat(5). */
export interface PidStat {
  /** Process id. */
  pid: number;
  /** Name of the program, cut to 15 bytes; untrusted. */
  comm: string;
  /** `R`, `S`, `D`, `Z`, `T`, `t`, `X`, `I`, …. */
  state: string;
  /** Parent's process id. */
  ppid: number;
  /** Process group. */
  pgrp: number;
  /** Session. */
  session: number;
  /** Nice value, from 19 to -20. */
  nice: number;
  /** Number of threads. */
  threads: number;
  /**
   * When the process started, in clock ticks since boot: with the process id
   * and the boot id this names one process for ever.
   */
  startTimeTicks: bigint;
}

/** Fields after comm, from state (3) to starttime (22). */
const STAT_FIELDS = 20;

/**
 * Parses the text of /proc/PID/stat.
 *
 * ```text
 * 4711 (a) b) S 1 4711 4711 34816 4711 4194304 105 0 0 0 0 0 0 0 20 0 1 0 88 …
 * (1)  (2)   (3)(4)(5) (6)  (7)   (8)  (9)     (10)         (18)(19)(20)  (22)
 * ```
 *
 * The name may hold blanks, parentheses and even line ends, so it reaches to
 * the last `)`. Fields that nothing here asks for are left alone. Needs no permission. See
 * proc_pid_stat(5).
 *
 * @param text The text of the file.
 * @param source The file that an error names.
 * @returns The fields.
 * @throws {ProcParseError} If the text has another form.
 *
 * @example
 * ```ts
 * import { parsePidStat } from "./pid_stat.ts";
 * const text = "7 (my (sh)) S 1 7 7 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 88";
 * console.log(parsePidStat(text).startTimeTicks); // 88n
 * ```
 */
export function parsePidStat(
  text: string,
  source: string = "/proc/PID/stat",
): PidStat {
  const fail = (expected: string): never => {
    throw new ProcParseError(expected, { source, line: 1, text });
  };
  const open = text.indexOf("(");
  const close = text.lastIndexOf(")");
  if (close < open + 1 || open < 0) {
    return fail("a program name in parentheses");
  }
  const fields = text.slice(close + 1).trim().split(" ");
  if (fields.length < STAT_FIELDS) return fail("22 fields or more");
  const big = (index: number): bigint =>
    /^-?\d{1,20}$/.test(fields[index] ?? "")
      ? BigInt(fields[index]!)
      : fail(`a number as field ${index + 3}`);
  const number = (index: number): number => {
    const value = Number(big(index));
    return Number.isSafeInteger(value)
      ? value
      : fail(`a smaller number as field ${index + 3}`);
  };
  if (!/^\d{1,15} $/.test(text.slice(0, open))) return fail("a process id");
  const [state] = fields;
  if (state?.length !== 1) return fail("a letter as field 3");
  return {
    pid: Number(text.slice(0, open - 1)),
    comm: text.slice(open + 1, close),
    state,
    ppid: number(1),
    pgrp: number(2),
    session: number(3),
    nice: number(16),
    threads: number(17),
    startTimeTicks: big(19),
  };
}

/** What /proc/PID/status says, see proc_pid_status(5). */
export interface PidStatus {
  /** Name of the program, unescaped; untrusted. */
  name: string;
  /** Real user id. */
  uid: number;
  /**
   * The process id in each pid namespace it lives in, from the reader's down
   * to the innermost; empty before Linux 4.1.
   */
  nsPids: number[];
  /** Number of threads. */
  threads: number;
  /** All lines by key, with the values as they are. */
  fields: Map<string, string>;
}

/**
 * Parses the text of /proc/PID/status.
 *
 * Needs no permission. See proc_pid_status(5).
 *
 * @param text The text of the file, lines of `Key:\tvalue`.
 * @param source The file that an error names.
 * @returns All fields, and the commonest as values.
 * @throws {ProcParseError} If a line has no key, or `Name`, `Uid` or `Threads`
 * is missing or has another form.
 *
 * @example
 * ```ts
 * import { parseStatus } from "./pid_stat.ts";
 * const text = "Name:\tsh\nUid:\t1000\t0\t0\t0\nNSpid:\t7\t1\nThreads:\t1\n";
 * const { uid, nsPids } = parseStatus(text);
 * console.log(uid, nsPids); // 1000 [ 7, 1 ]
 * ```
 */
export function parseStatus(
  text: string,
  source: string = "/proc/PID/status",
): PidStatus {
  const fields = new Map<string, string>();
  const lineNumbers = new Map<string, number>();
  const lines = text.split("\n");
  for (const [index, line] of lines.entries()) {
    if (line.trim() === "") continue;
    const colon = line.indexOf(":");
    if (colon < 1) {
      throw new ProcParseError("a key and a colon", {
        source,
        line: index + 1,
        text: line,
      });
    }
    const key = line.slice(0, colon);
    // A program's name may begin or end with blanks.
    const value = line.slice(colon + 1);
    fields.set(key, key === "Name" ? value.replace("\t", "") : value.trim());
    lineNumbers.set(key, index + 1);
  }
  const numbers = (key: string): number[] => {
    const words = fields.get(key)?.trim().split(/\s+/) ?? [];
    if (words.every((word) => /^\d{1,15}$/.test(word))) {
      return words.map(Number);
    }
    const line = lineNumbers.get(key)!;
    throw new ProcParseError(`numbers after "${key}:"`, {
      source,
      line,
      text: lines[line - 1]!,
    });
  };
  const name = fields.get("Name");
  const [uid] = numbers("Uid");
  const [threads] = numbers("Threads");
  if (name === undefined || uid === undefined || threads === undefined) {
    const init = { source, line: lines.length, text };
    throw new ProcParseError('lines "Name:", "Uid:" and "Threads:"', init);
  }
  return {
    // Only these two are escaped, see proc_task_name in fs/proc/array.c.
    name: name.replace(/\\([n\\])/g, (_, c) => c === "n" ? "\n" : "\\"),
    uid,
    nsPids: numbers("NSpid"),
    threads,
    fields,
  };
}
