/**
 * What tells a process from every other one on every host, for good.
 *
 * @module
 */

import { callLibc } from "../call.ts";
import { ESRCH } from "../errno.ts";
import { readTextIfAny } from "../file.ts";
import { readLink } from "../storage/names.ts";
import { libc } from "../libc.ts";
import { hasFfi } from "./environment.ts";
import { readCommandLine, readPidStat, userName } from "./process.ts";

/** Who a process is. What can't be learnt is `null`. */
export interface ProcessIdentity {
  /** The name of its host, as gethostname(2) gives it. */
  hostname: string | null;
  /** machine-id(5), which a host keeps across boots. */
  machineId: string | null;
  /** A number that the kernel draws at each boot. */
  bootId: string | null;
  /** The inode of its pid namespace. */
  pidNamespace: string | null;
  /** The inode of its time namespace, which start times are relative to. */
  timeNamespace: string | null;
  /** Its process id in its namespace. */
  pid: number;
  /** When it started, in clock ticks since boot, in decimal. */
  startTicks: string | null;
  /** The user it runs as. */
  user: string | null;
  /** Its command line, printable and short. */
  command: string | null;
}

/** Whether a process can still act; `unknown` where that can't be told here. */
export type Liveness = "alive" | "dead" | "unknown";

/** What is known of a process's life, and why. */
export interface LivenessVerdict {
  /** Whether it can still act. */
  liveness: Liveness;
  /** Why, a clause such as `its host has been rebooted since`. */
  reason: string;
}

const MACHINE_ID_FILES = ["/etc/machine-id", "/var/lib/dbus/machine-id"];

let own: ProcessIdentity | undefined;

/**
 * The identity of this process. Read once.
 *
 * Permissions: `--allow-ffi` for all of it. Without that the hostname takes
 * `--allow-sys=hostname`, the user `--allow-sys=uid` and the machine id
 * `--allow-read=/etc/machine-id`; all else is `null`, and each is `null` where
 * its permission is missing. See proc_pid_stat(5), namespaces(7).
 */
export function readOwnIdentity(): ProcessIdentity {
  return own ??= hasFfi() ? readByFfi() : readByDeno();
}

function readByFfi(): ProcessIdentity {
  const name = new Uint8Array(256);
  libc.gethostname(name, 255n);
  return {
    hostname: new TextDecoder().decode(name.subarray(0, name.indexOf(0))),
    machineId: machineId((path) => readTextIfAny(path)),
    bootId: readTextIfAny("/proc/sys/kernel/random/boot_id")?.trim() || null,
    pidNamespace: namespaceInode("pid"),
    timeNamespace: namespaceInode("time"),
    pid: Deno.pid,
    startTicks: procIsOurs() ? readStat(Deno.pid)?.startTicks ?? null : null,
    user: userName(libc.geteuid()),
    command: procIsOurs() ? readCommandLine(Deno.pid) : null,
  };
}

function readByDeno(): ProcessIdentity {
  return {
    hostname: ifPermitted(() => Deno.hostname()),
    machineId: machineId((path) =>
      ifPermitted(() => Deno.readTextFileSync(path)) ?? undefined
    ),
    bootId: null,
    pidNamespace: null,
    timeNamespace: null,
    pid: Deno.pid,
    startTicks: null,
    user: ifPermitted(() => Deno.uid()?.toString() ?? null),
    command: null,
  };
}

function machineId(read: (path: string) => string | undefined): string | null {
  for (const path of MACHINE_ID_FILES) {
    const id = read(path)?.trim();
    // An image that is yet to boot for the first time says "uninitialized".
    if (id !== undefined && /^[0-9a-f]{32}$/.test(id)) return id;
  }
  return null;
}

function ifPermitted<T>(read: () => T): T | null {
  try {
    return read();
  } catch {
    return null;
  }
}

function namespaceInode(kind: "pid" | "time"): string | null {
  return readLink(`/proc/self/ns/${kind}`)?.match(/\[(\d+)\]/)?.[1] ?? null;
}

/** A /proc mounted in another pid namespace numbers processes otherwise. */
function procIsOurs(): boolean {
  return readLink("/proc/self") === String(Deno.pid);
}

function readStat(
  pid: number,
): { startTicks: string; ended: boolean } | undefined {
  const found = readPidStat(pid);
  if (found === undefined) return undefined;
  const { state, threads, startTimeTicks } = found;
  return {
    startTicks: String(startTimeTicks),
    // A zombie may be just the first thread of a process that goes on.
    ended: state === "X" || state === "Z" && threads <= 1,
  };
}

/** Whether an identity is that of this very process. */
export function isOwnIdentity(identity: ProcessIdentity): boolean {
  const me = readOwnIdentity();
  return identity.pid === me.pid && identity.bootId === me.bootId &&
    identity.machineId === me.machineId &&
    identity.pidNamespace === me.pidNamespace &&
    identity.startTicks === me.startTicks && me.startTicks !== null;
}

/**
 * Whether a process can still act, as far as that can be told from here.
 *
 * `dead` is a proof: the same boot, the same pid namespace and no such process,
 * or one that started at another time; or the same host, by machine id and
 * hostname, after a reboot. All else is `alive` or `unknown`.
 *
 * Permissions: `--allow-ffi`; without it all but this process is `unknown`.
 * See kill(2) for EPERM, which proves that a process lives.
 */
export function judgeLiveness(identity: ProcessIdentity): LivenessVerdict {
  const me = readOwnIdentity();
  if (identity.bootId === null || me.bootId === null) {
    return unknown(
      me.bootId !== null
        ? "it was run without --allow-ffi or /proc and couldn't tell its boot id"
        : hasFfi()
        ? "/proc, which would tell, isn't mounted here"
        : "this process lacks --allow-ffi to look for it",
    );
  }
  if (identity.machineId !== me.machineId) {
    return unknown("it runs on another host");
  }
  if (identity.bootId !== me.bootId) {
    // Cloned machines share a machine id but hardly a name.
    return identity.machineId !== null && identity.hostname === me.hostname
      ? { liveness: "dead", reason: "its host has been rebooted since" }
      : unknown("it runs on another host");
  }
  if (
    identity.pidNamespace === null || identity.pidNamespace !== me.pidNamespace
  ) {
    return unknown("it runs in another pid namespace");
  }
  return judgeByPid(identity, me);
}

function judgeByPid(
  identity: ProcessIdentity,
  me: ProcessIdentity,
): LivenessVerdict {
  const { pid, startTicks } = identity;
  if (callLibc(() => libc.kill(pid, 0)) === -ESRCH) {
    return { liveness: "dead", reason: "its process has ended" };
  }
  const stat = procIsOurs() ? readStat(pid) : undefined;
  if (stat?.ended) {
    return { liveness: "dead", reason: "its process has ended (zombie)" };
  }
  if (
    stat !== undefined && startTicks !== null &&
    identity.timeNamespace === me.timeNamespace &&
    stat.startTicks !== startTicks
  ) {
    return {
      liveness: "dead",
      reason: "its process id now belongs to another process",
    };
  }
  return { liveness: "alive", reason: "its process is running" };
}

function unknown(reason: string): LivenessVerdict {
  return { liveness: "unknown", reason };
}
