/**
 * Starting and becoming commands, with the signals, limits and descriptors
 * that a shell would give them rather than those of the runtime.
 *
 * @module
 */

import { bytesOfLastArguments } from "./arguments.ts";
import { callLibc, cString } from "./call.ts";
import { EAGAIN, ENOENT, ENOEXEC, ENOMEM } from "./errno.ts";
import { SyscallError } from "./error.ts";
import { libc } from "./libc.ts";
import { restoreDescriptorLimit } from "./inheritance.ts";
import { resetSignal, SIGNAL_NUMBERS } from "./signals.ts";

/** argv as C has it: pointers ended by NULL, then the strings. */
function argumentVector(
  command: readonly string[],
): BigUint64Array<ArrayBuffer> {
  const raw = bytesOfLastArguments(command);
  const strings = command.map((text, index) => cArgument(text, raw[index]));
  const stringsAt = 8 * (command.length + 1);
  const length = strings.reduce((sum, { length }) => sum + length, stringsAt);
  // One buffer for both: whoever holds the pointers keeps the strings alive.
  const buffer = new ArrayBuffer(Math.ceil(length / 8) * 8);
  const bytes = new Uint8Array(buffer);
  const pointers = new BigUint64Array(buffer);
  const base = Deno.UnsafePointer.value(Deno.UnsafePointer.of(bytes));
  let offset = stringsAt;
  strings.forEach((string, index) => {
    bytes.set(string, offset);
    pointers[index] = base + BigInt(offset);
    offset += string.length;
  });
  return pointers;
}

/** An argument ended by NUL: the text, or the bytes it once was. */
function cArgument(
  text: string,
  bytes?: Uint8Array<ArrayBuffer>,
): Uint8Array<ArrayBuffer> {
  if (bytes !== undefined) return new Uint8Array([...bytes, 0]);
  if (!text.includes("\0")) return cString(text);
  throw new TypeError("An argument must not contain the NUL character");
}

/* posix_spawnattr_t of glibc on x86-64 and aarch64: flags (2 bytes), process
 * group (4 bytes at 4), default signals (128 at 8), and more, 336 in all. To
 * write it here spares binding the functions that would. */
const SPAWN_ATTRIBUTES_SIZE = 336;
const POSIX_SPAWN_SETSIGDEF = 4;

/**
 * Makes ready to start a command in a process of its own, found along PATH,
 * with the standard streams, working directory and environment of this process
 * at the moment it starts.
 *
 * Its limits, signals and descriptors are those that this process was started
 * with, except for what it has made inheritable itself. SIGPIPE always has its
 * default action: the runtime ignores it and doesn't tell how it was before.
 *
 * Permissions: `--allow-ffi`. See posix_spawn(3).
 *
 * @param command The program and its arguments.
 * @returns Starts it and gives its process id, to wait for by
 * `waitForChange`; throws SyscallError when it can't be started.
 */
export function prepareCommand(command: readonly string[]): () => number {
  restoreDescriptorLimit();
  const attributes = new Uint8Array(SPAWN_ATTRIBUTES_SIZE);
  const view = new DataView(attributes.buffer);
  view.setInt16(0, POSIX_SPAWN_SETSIGDEF, true);
  view.setUint32(8, 1 << (SIGNAL_NUMBERS.SIGPIPE - 1), true);
  const pid = new Int32Array(1);
  const environ = libc.dlsym(null, cString("environ"))!;
  const { posix_spawnp } = libc;
  const prepare = ([file = "", ...rest]: readonly string[]) => {
    const name = cString(file);
    const argv = argumentVector([file, ...rest]);
    return () =>
      posix_spawnp(
        pid,
        name,
        null,
        attributes,
        argv,
        new Deno.UnsafePointerView(environ).getPointer(),
      );
  };
  const spawn = prepare(command);
  return () => {
    let errno = spawn();
    // A script without "#!". The shell that runs it searches PATH itself.
    if (errno === ENOEXEC) {
      errno = prepare(["/bin/sh", "-c", 'exec "$0" "$@"', ...command])();
    }
    if (errno !== 0) throw execError(command[0], errno);
    return pid[0]!;
  };
}

/**
 * Becomes a command, found along PATH: same process id, and nothing of this
 * program left in memory. What it inherits is as for
 * {@linkcode prepareCommand}.
 *
 * Permissions: `--allow-ffi`. See exec(3).
 *
 * @param command The program and its arguments.
 * @throws {SyscallError} when it can't be executed. Else it doesn't return.
 */
export function execCommand(command: readonly string[]): never {
  restoreDescriptorLimit();
  // Caught signals fall back to their default by themselves.
  resetSignal("SIGPIPE");
  const file = cString(command[0]!);
  const argv = argumentVector(command);
  const result = callLibc(() => libc.execvp(file, argv));
  throw execError(command[0], -result);
}

function execError(program: string | undefined, errno: number): SyscallError {
  return new SyscallError("execute", {
    // posix_spawn(3) doesn't say which of its steps has failed.
    syscall: errno === EAGAIN || errno === ENOMEM ? "fork" : "execve",
    errno,
    path: program,
    advice: errno === ENOENT ? "is it installed, and in PATH?" : undefined,
  });
}

/** Sets a variable in the environment that commands inherit. See setenv(3). */
export function setEnvironment(name: string, value: string): void {
  libc.setenv(cString(name), cArgument(value), 1);
}

/**
 * Changes the working directory. See chdir(2).
 *
 * @throws {SyscallError} when it can't be entered.
 */
export function changeDirectory(path: string): void {
  const name = cString(path);
  const result = callLibc(() => libc.chdir(name));
  if (result >= 0) return;
  throw new SyscallError("change to directory", {
    syscall: "chdir",
    errno: -result,
    path,
  });
}

/** What has become of a child process. */
export type ChildChange =
  | { state: "exited"; code: number }
  | { state: "killed"; signal: number }
  | { state: "stopped" }
  | { state: "continued" };

const WUNTRACED = 2;
const WCONTINUED = 8;

/**
 * Waits until a child ends, stops or continues. The event loop goes on
 * meanwhile.
 *
 * Permissions: `--allow-ffi`. See waitpid(2).
 *
 * @param pid From {@linkcode prepareCommand}.
 */
export async function waitForChange(pid: number): Promise<ChildChange> {
  const status = new Int32Array(1);
  while (
    await libc.waitpid_async(pid, status, WUNTRACED | WCONTINUED) !== pid
  ) {
    // EINTR: a child that has not been waited for can't fail otherwise.
  }
  const word = status[0]!;
  if (word === 0xffff) return { state: "continued" };
  if ((word & 0xff) === 0x7f) return { state: "stopped" };
  const signal = word & 0x7f;
  return signal === 0
    ? { state: "exited", code: (word >> 8) & 0xff }
    : { state: "killed", signal };
}
