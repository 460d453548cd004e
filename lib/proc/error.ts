import { quotePath } from "./printable.ts";

/** Where the text that could not be parsed came from. */
export interface ProcParseErrorInit {
  /** The file, such as `/proc/locks`. */
  source: string;
  /** The number of the line, from 1. */
  line: number;
  /** The whole line as it was read, without its line end. */
  text: string;
}

/** What the parsers of kernel texts take besides the text. */
export interface ProcParseOptions {
  /** The file that errors name; by default the usual path of the format. */
  source?: string | undefined;
  /**
   * Called with each line that cannot be read, which is then left out of the
   * result; without it the first such line throws.
   */
  onError?: ((error: ProcParseError) => void) | undefined;
}

/** Longest piece of a line that an error message repeats, in characters. */
const MESSAGE_TEXT_LENGTH = 160;

/**
 * A text of the kernel does not have the form that it should have.
 *
 * The message names file, line and what was expected, with the text made safe
 * for a terminal; {@linkcode text} is the untouched line.
 *
 * @example
 * ```ts
 * import { ProcParseError } from "./error.ts";
 * import { parseProcLocks } from "./proc_locks.ts";
 * try {
 *   parseProcLocks("1: FLOCK  ADV");
 * } catch (error) {
 *   if (error instanceof ProcParseError) console.log(error.line); // 1
 * }
 * ```
 */
export class ProcParseError extends SyntaxError {
  /** Always `ProcParseError`. */
  override name = "ProcParseError";
  /** The file the text came from, such as `/proc/locks`. */
  readonly source: string;
  /** The number of the line, from 1. */
  readonly line: number;
  /** The line as it was read, without its line end; untrusted. */
  readonly text: string;

  /**
   * Makes the error and its message.
   *
   * @param expected What should have been there, such as `a process id`.
   * @param init Source, line number and line.
   */
  constructor(expected: string, init: ProcParseErrorInit) {
    const { source, line, text } = init;
    const shown = text.length > MESSAGE_TEXT_LENGTH
      ? quotePath(text.slice(0, MESSAGE_TEXT_LENGTH)) + "…"
      : quotePath(text);
    super(
      `Cannot parse ${quotePath(source)}, line ${line}: ` +
        `expected ${expected} in ${shown}`,
    );
    this.source = source;
    this.line = line;
    this.text = text;
  }
}

/**
 * Passes an unreadable line to the caller's `onError`, or throws it.
 *
 * @param error What is wrong with the line.
 * @param options The options of the parser.
 * @throws {ProcParseError} Without `onError`.
 */
export function reportLine(
  error: ProcParseError,
  options: ProcParseOptions,
): void {
  if (options.onError === undefined) throw error;
  options.onError(error);
}
