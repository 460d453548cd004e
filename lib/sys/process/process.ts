/**
 * What /proc tells about a process, and what identifies it for good.
 *
 * @module
 */

import { CMDLINE_UNAVAILABLE, formatCmdline } from "../../proc/cmdline.ts";
import { parsePidStat, type PidStat } from "../../proc/pid_stat.ts";
import { readBytes, readTextIfAny } from "../file.ts";
import { libc } from "../libc.ts";
import { listDirectory } from "../list_directory.ts";

/** Clock ticks a second in /proc/PID/stat: USER_HZ, 100 on every Linux. */
const TICKS_PER_SECOND = 100;

/**
 * The command line of a process on one printable line of at most 100
 * characters and `…`.
 *
 * Permissions: `--allow-ffi`. See proc_pid_cmdline(5).
 *
 * @param pid A process id of this pid namespace.
 * @returns The command line; the name in brackets for a kernel thread or a
 * zombie; `<cmdline unavailable>` when the process is gone.
 */
export function readCommandLine(pid: number): string {
  const bytes = readBytes(`/proc/${pid}/cmdline`);
  if (typeof bytes === "number") return CMDLINE_UNAVAILABLE;
  const command = formatCmdline(bytes);
  if (command !== undefined) return command;
  const name = readTextIfAny(`/proc/${pid}/comm`);
  return formatCmdline(name === undefined ? "" : `[${name.trimEnd()}]`) ??
    CMDLINE_UNAVAILABLE;
}

/**
 * When a process started, in clock ticks since boot: with the pid and the boot
 * it tells one process from any other.
 *
 * @returns The ticks (field 22 of /proc/PID/stat), or `undefined` when there
 * is no such process.
 */
export function readStartTicks(pid: number): bigint | undefined {
  return readPidStat(pid)?.startTimeTicks;
}

/**
 * What /proc/PID/stat says.
 *
 * @returns Its fields; `undefined` when there is no such process, or it is just
 * ending, when the text is empty.
 */
export function readPidStat(pid: number): PidStat | undefined {
  const path = `/proc/${pid}/stat`;
  const text = readTextIfAny(path);
  return text ? parsePidStat(text, path) : undefined;
}

let bootMs: number | undefined;

/**
 * When a process started, in milliseconds since 1970, to about a second.
 *
 * @returns The time, or `undefined` when there is no such process.
 */
export function readStartTimeMs(pid: number): number | undefined {
  const ticks = readStartTicks(pid);
  if (ticks === undefined) return undefined;
  bootMs ??= readBootTimeMs();
  return bootMs + Number(ticks) * (1000 / TICKS_PER_SECOND);
}

function readBootTimeMs(): number {
  const seconds = readTextIfAny("/proc/stat")?.match(/^btime (\d+)$/m)?.[1];
  return Number(seconds ?? 0) * 1000;
}

const userNames = new Map<number, string>();

/**
 * The name of a user, by getpwuid(3).
 *
 * @param uid A user id.
 * @returns The name, or the number in decimal when it has none.
 */
export function userName(uid: number): string {
  let name = userNames.get(uid);
  if (name === undefined) {
    const entry = libc.getpwuid(uid);
    // struct passwd starts with char *pw_name.
    const pointer = entry && new Deno.UnsafePointerView(entry).getPointer();
    name = pointer ? Deno.UnsafePointerView.getCString(pointer) : `${uid}`;
    userNames.set(uid, name);
  }
  return name;
}

/**
 * The name of the user a process runs as (its effective user).
 *
 * @returns The name, or `undefined` when there is no such process.
 */
export function readUser(pid: number): string | undefined {
  const status = readTextIfAny(`/proc/${pid}/status`);
  const uid = status?.match(/^Uid:\t\d+\t(\d+)/m)?.[1];
  return uid === undefined ? undefined : userName(Number(uid));
}

/**
 * What a process is about: `awake` when any of its threads runs, or would if it
 * got a CPU.
 */
export function readExertion(pid: number): "ended" | "asleep" | "awake" {
  const threads = listDirectory(`/proc/${pid}/task`);
  if (typeof threads === "number") return "ended";
  const isAwake = threads.map(Number).filter((id) => id > 0)
    .some((id) => /[RD]/.test(readPidStat(id)?.state ?? ""));
  return isAwake ? "awake" : "asleep";
}
