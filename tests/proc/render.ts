import type { ProcLock } from "../../lib/proc/proc_locks.ts";
import type { Random } from "./support.ts";

/** A line as the kernel writes it. */
export function renderLock(lock: ProcLock): string {
  const { device, endByte } = lock;
  const hex = (value: number): string => value.toString(16).padStart(2, "0");
  const place = device === undefined
    ? "<none>"
    : `${hex(device.major)}:${hex(device.minor)}`;
  const arrow = lock.blocked ? "-> ".padStart(lock.depth + 2) : "";
  return `${lock.id}: ${arrow}${lock.type.padEnd(6)} ` +
    `${lock.enforcement.padEnd(9)} ${lock.access} ${lock.pid} ` +
    `${place}:${lock.inode} ${lock.startByte} ${endByte ?? "EOF"}`;
}

/** Any lock that the kernel could write. */
export function randomLock(random: Random): ProcLock {
  const depth = random.pick([0, 0, 1, 2, 5]);
  const device = random.int(5) > 0
    ? { major: random.int(4096), minor: random.int(1 << 20) }
    : undefined;
  return {
    id: random.int(100000) + 1,
    blocked: depth > 0,
    depth,
    type: random.pick(["FLOCK", "POSIX", "OFDLCK", "LEASE", "DELEG", "NEW"]),
    enforcement: random.pick(["ADVISORY", "BREAKING", "ACTIVE", "*NOINODE*"]),
    access: random.pick(["READ", "WRITE", "UNLCK", "RW", "NONE"]),
    pid: random.pick([-1, 0, random.int(2 ** 31), -random.int(2 ** 31) - 1]),
    device,
    inode: device ? random.big(64) : 0n,
    startByte: random.big(63),
    endByte: random.int(2) > 0 ? random.big(63) : undefined,
  };
}
