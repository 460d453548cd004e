import {
  EMFILE,
  ENFILE,
  ENOLCK,
  ENOMEM,
  ENOSPC,
  EROFS,
} from "../../../lib/sys/errno.ts";
import { errnoText, SyscallError } from "../../../lib/sys/error.ts";
import { EXIT } from "../../ui/exit_codes.ts";

/** EXIT_FAILURE, with which flock(1) tells that it lost its command. */
const WAIT_FAILED = 1;

/** A failure as flock(1) tells it: a message and the exit code. */
export class FlockFailure extends Error {
  /** With which the program ends. */
  readonly exitCode: number;

  /** Made where flock(1) would print the message and exit. */
  constructor(exitCode: number, message: string) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** A mistake in the command line that isn't followed by "Try … --help". */
export function usageFailure(message: string): FlockFailure {
  return new FlockFailure(EXIT.USAGE, message);
}

/** The lock file can't be opened. */
export function openFailure(path: string, errno: number): FlockFailure {
  return new FlockFailure(
    openExitCode(errno),
    `cannot open lock file ${path}: ${errnoText(errno)}`,
  );
}

function openExitCode(errno: number): number {
  switch (errno) {
    case ENOMEM:
    case EMFILE:
    case ENFILE:
      return EXIT.OS_ERROR;
    case EROFS:
    case ENOSPC:
      return EXIT.CANT_CREATE;
  }
  return EXIT.NO_INPUT;
}

/** What the kernel said to the lock; any other error as it is. */
export function lockFailure(
  error: unknown,
  target: { path: string } | { fd: number },
): unknown {
  if (!(error instanceof SyscallError)) return error;
  const { errno } = error;
  return new FlockFailure(
    errno === ENOLCK || errno === ENOMEM ? EXIT.OS_ERROR : EXIT.DATA,
    `${"path" in target ? target.path : target.fd}: ${errnoText(errno)}`,
  );
}

/** The command can't be started or waited for. */
export function runFailure(
  command: string[],
  error: SyscallError,
): FlockFailure {
  const reason = errnoText(error.errno);
  switch (error.syscall) {
    case "fork":
      return new FlockFailure(EXIT.OS_ERROR, `fork failed: ${reason}`);
    case "waitpid":
      return new FlockFailure(WAIT_FAILED, `waitpid failed: ${reason}`);
  }
  return new FlockFailure(
    EXIT.UNAVAILABLE,
    `failed to execute ${command[0]}: ${reason}`,
  );
}
