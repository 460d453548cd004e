/**
 * Process groups, and whether anybody minds their jobs.
 *
 * @module
 */

import { listDirectory } from "../list_directory.ts";
import { readPidStat } from "./process.ts";

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
  const own = readPidStat(Deno.pid);
  const names = listDirectory("/proc");
  if (own === undefined || typeof names === "number") return false;
  const members = names.filter((name) => /^\d+$/.test(name))
    .flatMap((name) => readPidStat(Number(name)) ?? [])
    .filter(({ pgrp }) => pgrp === own.pgrp);
  return !members.some(({ ppid, pgrp, session }) => {
    const parent = readPidStat(ppid);
    return parent !== undefined && parent.session === session &&
      parent.pgrp !== pgrp;
  });
}
