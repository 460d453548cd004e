/**
 * What the scripts of helper processes are written with: the kernel's lock
 * calls as they are, on holdfast's own libc.
 */

import { EINTR } from "../../lib/sys/errno.ts";
import { O_CREAT, O_RDWR, openFile } from "../../lib/sys/file.ts";
import {
  flockAsleep,
  flockNow,
  type LockMode,
  unflock,
} from "../../lib/sys/lock/flock.ts";
import {
  ofdSetlk,
  ofdSetlkw,
  posixSetlk,
  posixSetlkw,
  type RecordLockRequest,
  type RecordLockType,
} from "../../lib/sys/lock/record_lock.ts";
import { setLease } from "../../lib/sys/process/descriptors.ts";

/** The arguments of the script. */
export const args: readonly string[] = Deno.args;

/** The bytes of a record lock: a length of 0 reaches to the end. */
export type Bytes = readonly [start: number, length: number];

/** Opens a file for reading and writing; commands inherit the descriptor. */
export function open(path: string): number {
  return checked(openFile(path, O_RDWR | O_CREAT), `open ${path}`);
}

/** Takes a flock, and sleeps until it is there; or gives it up. */
export function flock(
  fd: number,
  mode: LockMode | "unlock" = "exclusive",
): void {
  const result = mode === "unlock"
    ? unflock(fd)
    : uninterrupted(() => flockAsleep(fd, mode));
  checked(result, "flock");
}

/** Takes a flock; whether it was free. */
export function tryFlock(fd: number): boolean {
  return flockNow(fd, "exclusive") === 0;
}

/** Takes a POSIX lock, and sleeps until it is there. */
export function posix(fd: number, bytes: Bytes, type?: RecordLockType): void {
  checked(
    uninterrupted(() => posixSetlkw(fd, request(bytes, type))),
    "fcntl",
  );
}

/** Takes a POSIX lock; whether it was free. */
export function tryPosix(
  fd: number,
  bytes: Bytes,
  type?: RecordLockType,
): boolean {
  return posixSetlk(fd, request(bytes, type)) === 0;
}

/** Takes an OFD lock, and sleeps until it is there. */
export function ofd(fd: number, bytes: Bytes, type?: RecordLockType): void {
  checked(uninterrupted(() => ofdSetlkw(fd, request(bytes, type))), "fcntl");
}

/** Takes an OFD lock; whether it was free. */
export function tryOfd(fd: number, bytes: Bytes): boolean {
  return ofdSetlk(fd, request(bytes)) === 0;
}

/** A signal that is handled has a call that sleeps end. */
function uninterrupted(call: () => number): number {
  for (;;) {
    const result = call();
    if (result !== -EINTR) return result;
  }
}

function request(
  [start, length]: Bytes,
  type: RecordLockType = "write",
): RecordLockRequest {
  return { type, startByte: BigInt(start), lengthBytes: BigInt(length) };
}

export { ignoreSignal } from "../../lib/sys/process/signals.ts";

/** The signal by which a lease's holder is told that somebody wants the file. */
export const SIGIO = "SIGIO";

/** Takes a write lease. See F_SETLEASE(2const). */
export function takeLease(fd: number): void {
  checked(setLease(fd, "write"), "F_SETLEASE");
}

function checked(result: number, what: string): number {
  if (result < 0) throw new Error(`${what}: errno ${-result}`);
  return result;
}

/** Prints a line. */
export function say(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

/** Reads one line from stdin; `undefined` once it has ended. */
export function line(): string | undefined {
  const byte = new Uint8Array(1);
  let text = "";
  while (Deno.stdin.readSync(byte)) {
    if (byte[0] === 10) return text;
    text += String.fromCharCode(byte[0]!);
  }
  return text === "" ? undefined : text;
}

/** Waits until stdin ends. */
export function end(): void {
  while (line() !== undefined);
}

/** Waits until somebody waits for a lock on an open file. */
export function untilWaitedFor(fd: number): void {
  const inode = Deno.statSync(`/proc/self/fd/${fd}`).ino;
  const isWaiting = (line: string) =>
    line.includes("->") && line.includes(`:${inode} `);
  while (!Deno.readTextFileSync("/proc/locks").split("\n").some(isWaiting));
}
