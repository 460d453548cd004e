/**
 * Starting and becoming commands, with the signals, limits and descriptors
 * that a shell would give them rather than those of the runtime.
 *
 * @module
 */

import { callLibc, cString } from "../call.ts";
import { EAGAIN, ENOENT, ENOEXEC, ENOMEM } from "../errno.ts";
import { SyscallError } from "../error.ts";
import { libc } from "../libc.ts";
import { restoreWakingSignal } from "../sleep.ts";
import { restoreDescriptorLimit } from "./descriptors.ts";
import { isSignalIgnored, resetSignal, SIGNAL_NUMBERS } from "./signals.ts";

/**
 * Whether this is the first process of its pid namespace, as in a container:
 * orphans become its children, and no signal does anything by default. See
 * pid_namespaces(7).
 */
export function isFirstProcess(): boolean {
  return Deno.pid === 1;
}

/** argv as C has it: pointers ended by NULL, then the strings. */
function argumentVector(
  command: readonly string[],
): BigUint64Array<ArrayBuffer> {
  const strings = command.map(cArgument);
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

/** An argument ended by NUL. */
function cArgument(text: string): Uint8Array<ArrayBuffer> {
  if (!text.includes("\0")) return cString(text);
  throw new TypeError("An argument must not contain the NUL character");
}

/**
 * Ends an inherited order to ignore SIGCHLD, under which the kernel reaps
 * children by itself and nobody learns how they ended (sigaction(2)); the
 * command gets the default too, as from flock(1). A handler stays: the runtime
 * may have one by now.
 */
function stopIgnoringChildren(): void {
  if (isSignalIgnored("SIGCHLD")) resetSignal("SIGCHLD");
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
 * default action: the runtime ignores it and doesn't tell how it was before;
 * SIGCHLD too, in this process as well, for nobody can wait for a child while
 * it is ignored.
 *
 * Permissions: `--allow-ffi`. See posix_spawn(3).
 *
 * @param command The program and its arguments.
 * @returns Starts it and gives its process id, to wait for by
 * `waitForChange`; throws SyscallError when it can't be started.
 */
export function prepareCommand(command: readonly string[]): () => number {
  restoreDescriptorLimit();
  stopIgnoringChildren();
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
    restoreWakingSignal();
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
  stopIgnoringChildren();
  restoreWakingSignal();
  // Caught signals fall back to their default by themselves.
  resetSignal("SIGPIPE");
  const file = cString(command[0]!);
  const argv = argumentVector(command);
  const { execvp } = libc;
  const result = callLibc(() => execvp(file, argv));
  throw execError(command[0], -result);
}

const PR_SET_PDEATHSIG = 1;
const SIGKILL = 9n;

/**
 * Has the kernel kill this process, and what it becomes, when its parent ends.
 * See PR_SET_PDEATHSIG(2const).
 *
 * @param parent The parent's process id.
 * @returns False when the parent had already ended, which the kernel doesn't
 * report.
 */
export function dieWithParent(parent: number): boolean {
  libc.prctl(PR_SET_PDEATHSIG, SIGKILL);
  return libc.getppid() === parent;
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

const P_ALL = 0;
const P_PID = 1;
const WNOHANG = 1;
const WUNTRACED = 2;
const WEXITED = 4;
const WCONTINUED = 8;
const WNOWAIT = 0x0100_0000;

/** siginfo_t has 128 bytes. V8 never moves a buffer of that size. */
const SIGINFO_SIZE = 128;

/**
 * Waits until a child ends, stops or continues. The event loop goes on
 * meanwhile.
 *
 * The helper thread only looks: the child is reaped on this thread, so that
 * nobody here can signal its process id when it is another's already.
 *
 * Permissions: `--allow-ffi`. See waitid(2).
 *
 * @param pid From {@linkcode prepareCommand}.
 * @param options `reapOrphans` also reaps every other child that ends, as the
 * first process of a container has to.
 * @throws {SyscallError} when somebody else has waited for it: ECHILD.
 */
export async function waitForChange(
  pid: number,
  { reapOrphans = false }: { reapOrphans?: boolean } = {},
): Promise<ChildChange> {
  const info = new Uint8Array(SIGINFO_SIZE);
  const status = new Int32Array(1);
  const which = reapOrphans ? -1 : pid;
  for (;;) {
    // What it returns says nothing: its error number is lost.
    await libc.waitid_async(
      reapOrphans ? P_ALL : P_PID,
      pid,
      info,
      WEXITED | WUNTRACED | WCONTINUED | WNOWAIT,
    );
    const child = callLibc(() =>
      libc.waitpid(which, status, WNOHANG | WUNTRACED | WCONTINUED)
    );
    if (child === pid) return describeChange(status[0]!);
    if (child >= 0) continue;
    throw new SyscallError("wait for the command", {
      syscall: "waitpid",
      errno: -child,
      advice: "somebody else has waited for it, and its exit code is lost",
    });
  }
}

/** The status of waitpid(2), as the macros of sys/wait.h read it. */
function describeChange(status: number): ChildChange {
  if (status === 0xffff) return { state: "continued" };
  if ((status & 0xff) === 0x7f) return { state: "stopped" };
  const signal = status & 0x7f;
  return signal === 0
    ? { state: "exited", code: (status >> 8) & 0xff }
    : { state: "killed", signal };
}
