import { EXIT } from "../../ui/exit_codes.ts";

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
