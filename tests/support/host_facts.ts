/** What a container or a bare machine may lack, for the guards of tests. */

import { type Guard, unless } from "./programs.ts";

/** Whether this host has a machine id; see machine-id(5). */
export const hasMachineId: boolean = [
  "/etc/machine-id",
  "/var/lib/dbus/machine-id",
].some((path) => {
  try {
    return /^[0-9a-f]{32}$/.test(Deno.readTextFileSync(path).trim());
  } catch {
    return false;
  }
});

/**
 * The guard of a test for which /proc/locks must list locks whose taker is
 * gone, and who waits for them: in a pid namespace other than the first it
 * doesn't.
 */
export function needsWholeProcLocks(): Guard {
  // include/linux/proc_ns.h
  const isFirst = Deno.statSync("/proc/self/ns/pid").ino === 0xefff_fffc;
  return unless(isFirst ? undefined : "a pid namespace of its own");
}
