import { parseStatus } from "../../proc/pid_stat.ts";
import { printable } from "../../proc/printable.ts";
import { readTextIfAny } from "../file.ts";
import { readCommandLine, readStartTimeMs, userName } from "./process.ts";

/** What is known of a process. */
export interface ProcessInfo {
  /** Its process id here. */
  pid: number;
  /** Whether there is such a process now. */
  alive: boolean;
  /** The name of its program, printable, at most 15 bytes of it. */
  name: string | undefined;
  /** Its command line, printable, at most 100 characters and `…`. */
  command: string;
  /** The user it runs as. */
  user: string | undefined;
  /** How many threads it has. */
  threads: number | undefined;
  /** When it started, in milliseconds since 1970. */
  startTimeMs: number | undefined;
}

/** More ancestors than this can only be a loop of a torn reading. */
const MAX_ANCESTORS = 1000;

/**
 * The parent of a process, its parent, and so on up to the first.
 *
 * @param pid A process id of this pid namespace.
 * @returns Their pids, without that of the process itself.
 */
export function readAncestors(pid: number): number[] {
  const ancestors: number[] = [];
  let current = pid;
  while (ancestors.length < MAX_ANCESTORS) {
    const status = readTextIfAny(`/proc/${current}/status`);
    const parent = Number(/^PPid:\t(\d+)/m.exec(status ?? "")?.[1] ?? 0);
    if (parent === 0) break;
    ancestors.push(parent);
    current = parent;
  }
  return ancestors;
}

/**
 * Reads what everybody may know of a process.
 *
 * Permissions: `--allow-ffi`. See proc_pid_status(5).
 *
 * @param pid A process id of this pid namespace.
 */
export function describeProcess(pid: number): ProcessInfo {
  const status = readStatus(pid);
  return {
    pid,
    alive: status !== undefined,
    name: status && printable(status.name),
    command: readCommandLine(pid),
    user: status && userName(status.effectiveUid),
    threads: status?.threads,
    startTimeMs: readStartTimeMs(pid),
  };
}

function readStatus(
  pid: number,
): { name: string; effectiveUid: number; threads: number } | undefined {
  const text = readTextIfAny(`/proc/${pid}/status`);
  // A process that is just ending gives an empty text.
  if (text === undefined || text === "") return undefined;
  const { name, threads, fields } = parseStatus(text, `/proc/${pid}/status`);
  const effectiveUid = Number(fields.get("Uid")?.split(/\s+/)[1]);
  return { name, effectiveUid, threads };
}
