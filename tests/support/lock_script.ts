/**
 * What the scripts of helper processes are written with: the kernel's lock
 * calls as they are, on holdfast's own libc.
 */

import { callLibc } from "../../lib/sys/call.ts";
import { libc } from "../../lib/sys/libc.ts";
import { O_CREAT, O_RDWR, openFile } from "../../lib/sys/file.ts";
import { SIGACTION_SIZE } from "../../lib/sys/process/signals.ts";

/** The arguments of the script. */
export const args: readonly string[] = Deno.args;

/** The bytes of a record lock: a length of 0 reaches to the end. */
export type Bytes = readonly [start: number, length: number];

const LOCK = { shared: 1, exclusive: 2, unlock: 8 } as const;
const LOCK_NB = 4;
const TYPE = { read: 0, write: 1, unlock: 2 } as const;
const F_SETLK = 6;
const F_SETLKW = 7;
const F_OFD_SETLK = 37;
const F_OFD_SETLKW = 38;

/** Opens a file for reading and writing; commands inherit the descriptor. */
export function open(path: string): number {
  return checked(openFile(path, O_RDWR | O_CREAT), `open ${path}`);
}

/** Takes a flock, and sleeps until it is there. */
export function flock(fd: number, mode: keyof typeof LOCK = "exclusive"): void {
  checked(callLibc(() => libc.flock(fd, LOCK[mode])), "flock");
}

/** Takes a flock; whether it was free. */
export function tryFlock(fd: number): boolean {
  return callLibc(() => libc.flock(fd, LOCK.exclusive | LOCK_NB)) === 0;
}

/** Takes a POSIX lock, and sleeps until it is there. */
export function posix(
  fd: number,
  bytes: Bytes,
  type: keyof typeof TYPE = "write",
): void {
  checked(setLock(fd, F_SETLKW, bytes, type), "fcntl");
}

/** Takes a POSIX lock; whether it was free. */
export function tryPosix(
  fd: number,
  bytes: Bytes,
  type: keyof typeof TYPE = "write",
): boolean {
  return setLock(fd, F_SETLK, bytes, type) === 0;
}

/** Takes an OFD lock, and sleeps until it is there. */
export function ofd(
  fd: number,
  bytes: Bytes,
  type: keyof typeof TYPE = "write",
): void {
  checked(setLock(fd, F_OFD_SETLKW, bytes, type), "fcntl");
}

/** Takes an OFD lock; whether it was free. */
export function tryOfd(fd: number, bytes: Bytes): boolean {
  return setLock(fd, F_OFD_SETLK, bytes, "write") === 0;
}

/* struct flock: type and whence as shorts, start and length aligned to eight,
 * and the pid. */
function setLock(
  fd: number,
  command: number,
  [start, length]: Bytes,
  type: keyof typeof TYPE,
): number {
  const buffer = new DataView(new ArrayBuffer(32));
  buffer.setInt16(0, TYPE[type], true);
  buffer.setBigInt64(8, BigInt(start), true);
  buffer.setBigInt64(16, BigInt(length), true);
  const bytes = new Uint8Array(buffer.buffer);
  return callLibc(() => libc.fcntl(fd, command, bytes));
}

/** The signal by which a lease's holder is told that somebody wants the file. */
export const SIGIO = 29;

/** Ignores a signal. See sigaction(2). */
export function ignoreSignal(signal: number): void {
  const action = new Uint8Array(SIGACTION_SIZE);
  action[0] = 1; // SIG_IGN
  libc.sigaction(signal, action, null);
}

/** Takes a write lease. See F_SETLEASE(2const). */
export function takeLease(fd: number): void {
  const F_SETLEASE = 1024;
  checked(callLibc(() => libc.fcntl_int(fd, F_SETLEASE, 1)), "F_SETLEASE");
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
