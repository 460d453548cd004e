/**
 * `holdfast flock`: flock(1) of util-linux, option by option.
 *
 * @module
 */

import {
  blockFlockFd,
  HeldFlock,
  tryFlockFd,
  unlockFlockFd,
} from "../../../lib/lock/flock/flock.ts";
import type { ByteRange } from "../../../lib/lock/record/record_lock.ts";
import { EBADF, EIO, EISDIR, ENOENT } from "../../../lib/sys/errno.ts";
import { LockPath } from "../../../lib/lock/lock_path.ts";
import { SyscallError } from "../../../lib/sys/error.ts";
import {
  closeFile,
  O_CLOEXEC,
  O_CREAT,
  O_NOCTTY,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
  openFile,
} from "../../../lib/sys/file.ts";
import { isInheritable } from "../../../lib/sys/process/descriptors.ts";
import { environmentVariable } from "../../../lib/sys/process/environment.ts";
import { keepIgnoredSignals } from "../../../lib/sys/process/signals.ts";
import { checkAccess } from "../../../lib/sys/storage/names.ts";
import { EXIT } from "../../ui/exit_codes.ts";
import {
  FlockFailure,
  lockFailure,
  openFailure,
  runFailure,
  usageFailure,
} from "./failure.ts";
import { FLOCK_SPEC } from "./spec.ts";
import {
  type ParsedOptions,
  parseOptions,
  UsageError,
} from "../../args/parse.ts";
import type { Supervisor } from "../run/supervise.ts";

const RECORD_LOCK_TYPES = {
  shared: "read",
  exclusive: "write",
  unlock: "unlock",
} as const;

type Operation = keyof typeof RECORD_LOCK_TYPES;

interface FlockRequest {
  operation: Operation;
  timeoutMs: number;
  conflictExitCode: number;
  /** The range of an OFD lock; `undefined` for flock(2). */
  range: ByteRange | undefined;
  verbose: boolean;
  shareWithCommand: boolean;
  becomeCommand: boolean;
  target: { path: string } | { fd: number };
  command: string[] | undefined;
  /** Called before this thread sleeps until the lock is free. */
  beforeSleep?: () => Promise<void>;
}

/** Runs the subcommand and gives the exit code. */
export async function flockCommand(args: string[]): Promise<number> {
  try {
    if (args.length === 0) throw new UsageError("not enough arguments");
    const options = parseOptions(FLOCK_SPEC, args);
    keepIgnoredSignals();
    if (options.flag("version")) {
      const { VERSION } = await import("../../version.ts");
      (await import("../../ui/output.ts")).writeOut(
        `flock from holdfast ${VERSION}\n`,
      );
      return EXIT.OK;
    }
    const request = await readRequest(options);
    return await lockAndRun(request);
  } catch (error) {
    return await explain(error);
  }
}

async function explain(error: unknown): Promise<number> {
  if (error instanceof FlockFailure) {
    await say(error.message);
    return error.exitCode;
  }
  if (error instanceof UsageError) {
    await say(`${error.message}\nTry 'flock --help' for more information.`);
    return EXIT.USAGE;
  }
  throw error;
}

/** Writes a message as the program that scripts think this is. */
async function say(message: string): Promise<void> {
  const { writeError } = await import("../../ui/output.ts");
  const { printable } = await import("../../../lib/proc/printable.ts");
  writeError(`flock: ${message.split("\n").map(printable).join("\n")}\n`);
}

async function readRequest(options: ParsedOptions): Promise<FlockRequest> {
  const { timeoutMs, conflictExitCode, range } = await readNumbers(options);
  const close = options.flag("close");
  const noFork = options.flag("no-fork");
  if (close && noFork) {
    throw usageFailure(
      "the --no-fork and --close options are incompatible",
    );
  }
  return {
    operation: options.last("shared", "exclusive", "unlock") ?? "exclusive",
    timeoutMs: options.flag("nonblocking") ? 0 : timeoutMs,
    conflictExitCode,
    range,
    verbose: options.flag("verbose"),
    shareWithCommand: !close,
    becomeCommand: noFork,
    ...readOperands(options),
  };
}

function readOperands(
  options: ParsedOptions,
): Pick<FlockRequest, "target" | "command"> {
  const fd = options.value("fd");
  const text = options.value("command");
  if (fd !== undefined) {
    const words = text === undefined ? [] : ["-c", text];
    const command = expandShellWords([...words, ...options.verbatim]);
    if (command.length === 0) throw usageFailure("missing command");
    return { target: { fd: readDescriptor(fd) }, command };
  }
  // Elsewhere it stands after the file, where options have ended.
  if (text !== undefined) throw new UsageError("invalid option -- 'c'");
  const [first, ...rest] = options.verbatim;
  if (first === undefined) {
    throw usageFailure("missing file descriptor, file or directory");
  }
  return rest.length === 0
    ? { target: { fd: readDescriptor(first) }, command: undefined }
    : { target: { path: first }, command: expandShellWords(rest) };
}

/** The words of a command; `-c TEXT` is one for the user's shell. */
function expandShellWords(words: string[]): string[] {
  const [first, text] = words;
  if (first !== "-c" && first !== "--command") return words;
  if (text === undefined || words.length > 2) {
    throw usageFailure(`${first} requires exactly one command argument`);
  }
  return [environmentVariable("SHELL") ?? "/bin/sh", "-c", text];
}

/** The words that flock(1) has for a number that isn't one. */
const NOT_A = {
  exitCode: "invalid exit code (allowed values: 0-255)",
  descriptor: "invalid file descriptor",
  start: "invalid as start offset",
  length: "invalid as length of lock range",
} as const;

type Numbers = Pick<FlockRequest, "timeoutMs" | "conflictExitCode" | "range">;

async function readNumbers(options: ParsedOptions): Promise<Numbers> {
  const timeout = options.value("timeout");
  const exitCode = options.value("conflict-exit-code");
  const start = options.value("start");
  const length = options.value("length");
  const isFcntl = options.flag("fcntl") || start !== undefined ||
    length !== undefined;
  const given = timeout ?? exitCode ?? start ?? length;
  // Most scripts give none.
  if (given === undefined) {
    return {
      timeoutMs: Infinity,
      conflictExitCode: 1,
      range: isFcntl ? { startByte: 0n, lengthBytes: 0n } : undefined,
    };
  }
  const { readInteger, readSeconds, readSize } = await import("./numbers.ts");
  return {
    timeoutMs: timeout === undefined ? Infinity : readSeconds(timeout),
    conflictExitCode: readInteger(exitCode ?? "1", [0, 255], NOT_A.exitCode),
    range: isFcntl
      ? {
        startByte: readSize(start ?? "0", NOT_A.start),
        lengthBytes: readSize(length ?? "0", NOT_A.length),
      }
      : undefined,
  };
}

const MAX_DESCRIPTORS = 2 ** 31;

function readDescriptor(text: string): number {
  const fd = Number(text);
  if (!/^\s*[-+]?\d+$/.test(text)) {
    throw usageFailure(`${NOT_A.descriptor}: '${text}'`);
  }
  if (Math.abs(fd) < MAX_DESCRIPTORS) return fd;
  const ERANGE = "Numerical result out of range";
  throw usageFailure(`${NOT_A.descriptor}: '${text}': ${ERANGE}`);
}

async function lockAndRun(request: FlockRequest): Promise<number> {
  const { command, target } = request;
  const start = performance.now();
  let supervisor: Supervisor | undefined;
  const makeSupervisor = async (command: string[]) => {
    const { Supervisor } = await import("../run/supervise.ts");
    return new Supervisor(command, { onDeath: "keep" });
  };
  if (command !== undefined && !request.becomeCommand) {
    request.beforeSleep = async () =>
      await (supervisor ??= await makeSupervisor(command)).standBy();
  }
  const fd = await lock(request);
  if (fd === undefined) return request.conflictExitCode;
  if (request.verbose) {
    const seconds = ((performance.now() - start) / 1000).toFixed(6);
    const { writeOut } = await import("../../ui/output.ts");
    writeOut(`flock: getting lock took ${seconds} seconds\n`);
    if (command !== undefined) writeOut(`flock: executing ${command[0]}\n`);
  }
  if (command === undefined) return EXIT.OK;
  // Never released here: the lock lasts as long as anybody has the descriptor.
  const name = "path" in target ? target.path : `file descriptor ${target.fd}`;
  const handle = new HeldFlock(
    new LockPath(name, name),
    fd,
    request.operation === "shared" ? "shared" : "exclusive",
  );
  handle.setInheritable(request.becomeCommand);
  try {
    if (request.becomeCommand) {
      const { execCommand } = await import("../../../lib/sys/process/exec.ts");
      return execCommand(command);
    }
    supervisor ??= await makeSupervisor(command);
    const { exitCode } = await supervisor.run(
      request.shareWithCommand ? handle : {},
    );
    return exitCode;
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    throw runFailure(command, error);
  }
}

/** Locks the target and gives its descriptor; `undefined` when it is taken. */
async function lock(request: FlockRequest): Promise<number | undefined> {
  const { target } = request;
  let fd = "path" in target
    ? openTarget(target.path, accessFor(request))
    : target.fd;
  let outcome: Outcome;
  try {
    outcome = await lockFd(fd, request);
  } catch (error) {
    if (!needsWriting(error, request)) throw lockFailure(error, target);
    closeFile(fd);
    fd = openTarget(request.target.path, O_RDWR);
    outcome = await lockFd(fd, request).catch((error) => {
      throw lockFailure(error, target);
    });
  }
  if (outcome === "locked") return fd;
  if (request.verbose) {
    await say(
      outcome === "busy"
        ? "failed to get lock"
        : "timeout while waiting to get lock",
    );
  }
  return undefined;
}

/** NFS asks for a descriptor that may be written. */
function needsWriting(
  error: unknown,
  request: FlockRequest,
): request is FlockRequest & { target: { path: string } } {
  const { target, operation } = request;
  return error instanceof SyscallError &&
    (error.errno === EIO || error.errno === EBADF) &&
    "path" in target && operation !== "shared" &&
    checkAccess(target.path, "read and write") === 0;
}

/** A write lock of fcntl(2) needs a descriptor that may be written. */
function accessFor({ range, operation }: FlockRequest): number {
  return range !== undefined && operation === "exclusive" ? O_WRONLY : O_RDONLY;
}

/** Opens as flock(1) does: no file is refused, and a FIFO is waited for. */
function openTarget(path: string, access: number): number {
  const flags = access | O_NOCTTY | O_CLOEXEC;
  let fd = path === "" ? -ENOENT : openFile(path, flags | O_CREAT);
  if (fd === -EISDIR) fd = openFile(path, O_RDONLY | O_NOCTTY | O_CLOEXEC);
  if (fd >= 0) return fd;
  throw openFailure(path, -fd);
}

type Outcome = "locked" | "busy" | "late";

/**
 * Locks a descriptor.
 *
 * @throws {SyscallError} when it can't be locked at all.
 */
async function lockFd(fd: number, request: FlockRequest): Promise<Outcome> {
  const { range, timeoutMs, target, operation } = request;
  // The runtime has descriptors of its own, which the caller can't mean.
  if ("fd" in target && !isInheritable(fd)) {
    throw new SyscallError("lock", { syscall: "flock", errno: EBADF });
  }
  const calls = range === undefined
    ? flockCalls(fd, operation)
    : await recordLockCalls(fd, operation, range);
  // To prepare a wait takes longer than to find that there is none.
  if (calls.try()) return "locked";
  if (timeoutMs === 0) return "busy";
  await request.beforeSleep?.();
  return calls.block(timeoutMs) ? "locked" : "late";
}

interface LockCalls {
  /** Locks if that is possible at once. */
  try(): boolean;
  /** Waits until it is, or the time is up. */
  block(timeoutMs: number): boolean;
}

function flockCalls(fd: number, operation: Operation): LockCalls {
  if (operation === "unlock") {
    const unlock = () => {
      unlockFlockFd(fd);
      return true;
    };
    return { try: unlock, block: unlock };
  }
  return {
    try: () => tryFlockFd(fd, { mode: operation }),
    block: (timeoutMs) => blockFlockFd(fd, { mode: operation, timeoutMs }),
  };
}

async function recordLockCalls(
  fd: number,
  operation: Operation,
  range: ByteRange,
): Promise<LockCalls> {
  const { fOfdSetlk, fOfdSetlkw } = await import(
    "../../../lib/lock/record/record_lock.ts"
  );
  const request = { type: RECORD_LOCK_TYPES[operation], ...range };
  return {
    try: () => fOfdSetlk(fd, request),
    block: (timeoutMs) => fOfdSetlkw(fd, request, { timeoutMs }),
  };
}
