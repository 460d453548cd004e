/**
 * Process groups, and whether anybody minds their jobs.
 *
 * @module
 */

import { parsePidStat, type PidStat } from "../../proc/pid_stat.ts";
import { readTextIfAny } from "../file.ts";
import { listDirectory } from "../list_directory.ts";

/**
 * Whether this process's group is orphaned: none of it has a parent in another
 * group of the same session, such as an interactive shell, to continue it when
 * it has stopped. The kernel then spares it SIGTSTP, SIGTTIN and SIGTTOU unless
 * they are caught. See setpgid(2), and kernel/exit.c.
 *
 * Permissions: `--allow-ffi`.
 *
 * @returns `false`, too, where /proc doesn't tell.
 */
export function isGroupOrphaned(): boolean {
  const own = readStat(Deno.pid);
  const names = listDirectory("/proc");
  if (own === undefined || typeof names === "number") return false;
  const members = names.filter((name) => /^\d+$/.test(name))
    .flatMap((name) => readStat(Number(name)) ?? [])
    .filter(({ pgrp }) => pgrp === own.pgrp);
  return !members.some(({ ppid, pgrp, session }) => {
    const parent = readStat(ppid);
    return parent !== undefined && parent.session === session &&
      parent.pgrp !== pgrp;
  });
}

function readStat(pid: number): PidStat | undefined {
  const path = `/proc/${pid}/stat`;
  // A process that is just ending gives an empty text.
  const text = readTextIfAny(path);
  return text ? parsePidStat(text, path) : undefined;
}
