import { printable } from "../../lib/proc/printable.ts";
import { readEnv } from "./environment.ts";
import { EXIT } from "./exit_codes.ts";
import { UsageError } from "../args/parse.ts";
import { writeError } from "./output.ts";

/** Finds the candidate nearest to an unknown word. */
export type Suggest = (
  unknown: string,
  candidates: readonly string[],
) => Promise<string | undefined>;

/** A failed system call, as far as an exit code depends on it. */
interface FailedCall {
  syscall: string;
  code: string;
}

/** What to say about an error, and the exit code for it. */
export interface ErrorReport {
  /** Whole lines; empty when nothing is to be said. */
  text: string;
  exitCode: number;
}

/** What a shell says of a program that wrote into a closed pipe. */
const SIGPIPE_EXIT = EXIT.SIGNAL_BASE + 13;

/**
 * Says on stderr what went wrong, and gives the exit code for it. With
 * `HOLDFAST_DEBUG` set, the stack is shown too.
 *
 * @param program What the message starts with, such as `holdfast run`.
 * @param error What was thrown.
 * @param suggest Finds what a misspelled word was to be; may lack permission.
 */
export async function reportError(
  program: string,
  error: unknown,
  suggest?: Suggest,
): Promise<number> {
  const { text, exitCode } = await explainError(program, error, suggest);
  const stack = readEnv("HOLDFAST_DEBUG") === undefined
    ? ""
    : `${printableLines(Deno.inspect(error, { colors: false }))}\n`;
  writeError(text + stack);
  return exitCode;
}

/**
 * Words and the exit code for an error.
 *
 * Errors of the library are told by name and shape, so that none of its
 * modules is loaded for this.
 *
 * @param program What the message starts with, such as `holdfast run`.
 * @param error What was thrown.
 */
export async function explainError(
  program: string,
  error: unknown,
  suggest?: Suggest,
): Promise<ErrorReport> {
  if (error instanceof Deno.errors.BrokenPipe) {
    return { text: "", exitCode: SIGPIPE_EXIT };
  }
  if (error instanceof UsageError) {
    return await explainUsage(program, error, suggest);
  }
  if (error instanceof SuppressedError) {
    // What failed first, and then what failed in tidying up after it.
    const { text, exitCode } = await explainError(program, error.suppressed);
    const after = await explainError(program, error.error);
    return { text: text + after.text, exitCode };
  }
  const exitCode = exitCodeOf(error);
  const bug = exitCode === undefined ? "internal error: " : "";
  return {
    text: `${program}: ${bug}${printableLines(describe(error))}\n`,
    exitCode: exitCode ?? EXIT.SOFTWARE,
  };
}

async function explainUsage(
  program: string,
  error: UsageError,
  suggest: Suggest | undefined,
): Promise<ErrorReport> {
  const suggestion = await findSuggestion(error, suggest);
  const lines = [
    `${program}: ${error.message}` +
    (suggestion === undefined ? "" : `; did you mean '${suggestion}'?`),
    ...(error.hint === undefined ? [] : [error.hint]),
    `Try '${program} --help' for more information.`,
  ];
  return {
    text: lines.map((line) => `${printable(line)}\n`).join(""),
    exitCode: EXIT.USAGE,
  };
}

/** Without the permission to load it, there is no suggestion. */
async function findSuggestion(
  error: UsageError,
  suggest: Suggest | undefined,
): Promise<string | undefined> {
  const { unknown, candidates } = error;
  if (unknown === undefined || candidates.length === 0) return undefined;
  try {
    return await suggest?.(unknown, candidates);
  } catch (cause) {
    if (cause instanceof Deno.errors.NotCapable) return undefined;
    throw cause;
  }
}

/** The exit code for a failure that can happen, `undefined` for a bug. */
function exitCodeOf(error: unknown): number | undefined {
  if (!(error instanceof Error)) return undefined;
  if (error instanceof Deno.errors.NotCapable) return EXIT.NO_PERMISSION;
  const call = failedCall(error);
  if (call !== undefined) return exitCodeOfCall(call);
  switch (error.name) {
    case "LockTimeoutError":
    case "LinkLockTimeoutError":
    case "ClusterLockTimeoutError":
    case "SlotTimeoutError":
    case "CpuTimeoutError":
    case "LoadTimeoutError":
      return EXIT.TEMP_FAIL;
    case "SelfDeadlockError":
      return EXIT.SELF_DEADLOCK;
    case "UnsupportedFilesystemError":
    case "TraceUnavailableError":
    case "ClusterUnreachableError":
      return EXIT.UNAVAILABLE;
    case "ClusterPermissionError":
      return EXIT.NO_PERMISSION;
    case "ProcParseError":
      return EXIT.SOFTWARE;
    case "LockError":
    case "LockCompromisedError":
    case "LeaseLostError":
    case "StaleFenceError":
    case "ForeignLinkLockError":
      return EXIT.DATA;
    case "NotFound":
    case "PermissionDenied":
    case "IsADirectory":
    case "NotADirectory":
    case "FilesystemLoop":
      return EXIT.NO_INPUT;
  }
  // A file of a lock, as the library explains it; not the output of a command.
  const isExplained = error.message.startsWith("Cannot ");
  if (isExplained && "code" in error && NO_ROOM.includes(String(error.code))) {
    return EXIT.CANT_CREATE;
  }
  // Deno has no class for some error numbers.
  return error.name in Deno.errors || /\(os error \d+\)/.test(error.message)
    ? EXIT.OS_ERROR
    : undefined;
}

function failedCall(error: Error): FailedCall | undefined {
  return "syscall" in error && typeof error.syscall === "string" &&
      "code" in error && typeof error.code === "string"
    ? { syscall: error.syscall, code: error.code }
    : undefined;
}

const OPENING_CALLS = [
  "open",
  "openat",
  "chdir",
  "mkdir",
  "stat",
  "statx",
  "link",
  "rename",
  "renameat",
  "renameat2",
];
const WRITING_CALLS = ["write", "pwrite", "fallocate", "ftruncate", "fsync"];
/** Why nothing can be written there, whatever is tried. */
const NO_ROOM = ["EROFS", "ENOSPC", "EDQUOT", "EFBIG"];
const RESOURCE_CALLS = [
  "fork",
  "vfork",
  "clone",
  "posix_spawn",
  "waitpid",
  "timer_create",
];

function exitCodeOfCall({ syscall, code }: FailedCall): number {
  switch (code) {
    case "EMFILE":
    case "ENFILE":
    case "ENOMEM":
    case "ENOLCK":
      return EXIT.OS_ERROR;
  }
  if (syscall.startsWith("exec")) {
    return code === "ENOENT" ? EXIT.NOT_FOUND : EXIT.NOT_EXECUTABLE;
  }
  if (RESOURCE_CALLS.includes(syscall)) return EXIT.OS_ERROR;
  const isOpening = OPENING_CALLS.includes(syscall);
  if (!isOpening && !WRITING_CALLS.includes(syscall)) return EXIT.DATA;
  if (NO_ROOM.includes(code)) return EXIT.CANT_CREATE;
  return isOpening ? EXIT.NO_INPUT : EXIT.DATA;
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof Deno.errors.NotCapable) {
    const flag = /--allow-[a-z]+/.exec(error.message)?.[0];
    const what = error.message.split(", run again")[0];
    return flag === undefined
      ? error.message
      : `Deno did not permit it (${what}): run holdfast with ${flag}`;
  }
  return error.message === "" ? error.name : error.message;
}

/** Keeps the line breaks that a message has, and no other control character. */
function printableLines(text: string): string {
  return text.split("\n").map(printable).join("\n");
}
