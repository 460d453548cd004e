/**
 * Running a command for what it prints.
 *
 * @module
 */

import { printable } from "../../../lib/proc/printable.ts";
import { restoreDescriptorLimit } from "../../../lib/sys/process/descriptors.ts";
import {
  ignoreSignal,
  isInForeground,
  isSignalIgnored,
} from "../../../lib/sys/process/signals.ts";
import { EXIT } from "../../ui/exit_codes.ts";
import { type ParsedOptions, UsageError } from "../../args/parse.ts";
import { checkUtf8 } from "../../args/utf8.ts";
import { writeError } from "../../ui/output.ts";

/** A command has failed, which has been said or is its own affair. */
export class CommandFailure extends Error {
  override name = "CommandFailure";
  /** The exit code to pass on. */
  readonly exitCode: number;

  constructor(exitCode: number) {
    super(`exit code ${exitCode}`);
    this.exitCode = exitCode;
  }
}

/** How {@linkcode pipeCommand} runs a command. */
export interface PipeOptions {
  /** What it reads; nothing unless given. */
  input?: Uint8Array<ArrayBuffer>;
  /** Variables to add to its environment. */
  env?: Record<string, string>;
  /**
   * Signals that come after the command has ended no longer end this process,
   * which is about to write what mustn't be cut short.
   */
  holdSignals?: boolean;
  /** Goes on to the command, so that it outlives this process with it. */
  lock?: { setInheritable(inheritable: boolean): void };
}

/**
 * Runs a command and gives what it has printed. Signals that would end this
 * process go to the command, and are waited for with it.
 *
 * @throws {CommandFailure} when it can't be started or doesn't exit with 0.
 * @throws {Deno.errors.NotCapable} without `--allow-run`.
 */
export async function pipeCommand(
  [program = "", ...args]: readonly string[],
  options: PipeOptions = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const { input, env = {}, lock, holdSignals = false } = options;
  restoreDescriptorLimit();
  using stack = new DisposableStack();
  const signals = new EndingSignals();
  if (!holdSignals) stack.use(signals);
  let child: Deno.ChildProcess;
  try {
    lock?.setInheritable(true);
    child = new Deno.Command(program, {
      args,
      env,
      stdin: input === undefined ? "null" : "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    throw notStarted(program, error);
  } finally {
    lock?.setInheritable(false);
  }
  signals.passTo(child);
  const feeding = input === undefined
    ? undefined
    // One who doesn't read all of it has seen enough.
    : new Blob([input]).stream().pipeTo(child.stdin).catch(() => {});
  const { code, stdout } = await child.output();
  await feeding;
  if (code !== 0) throw new CommandFailure(code);
  return stdout;
}

/** What says that it isn't the command's fault. */
const WITHOUT_RESOURCES = ["EMFILE", "ENFILE", "ENOMEM", "EAGAIN"];

function notStarted(program: string, error: unknown): CommandFailure {
  if (!(error instanceof Error)) throw error;
  const isMissing = error instanceof Deno.errors.NotFound;
  const reason = isMissing ? "it was not found" : error.message;
  writeError(
    `holdfast: Cannot execute '${printable(program)}': ${printable(reason)}\n`,
  );
  const code = "code" in error ? String(error.code) : "";
  return new CommandFailure(
    isMissing
      ? EXIT.NOT_FOUND
      : WITHOUT_RESOURCES.includes(code)
      ? EXIT.OS_ERROR
      : EXIT.NOT_EXECUTABLE,
  );
}

const ENDING = ["SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM"] as const;
type EndingSignal = typeof ENDING[number];

/** Signals that end the command, and this process only after it. */
class EndingSignals implements Disposable {
  readonly #listeners = new Map<EndingSignal, () => void>();
  #child: Deno.ChildProcess | undefined;
  #early: EndingSignal[] = [];

  /** Those that arrive before the command is there wait for it. */
  constructor() {
    const ignored = ENDING.filter(isSignalIgnored);
    for (const name of ENDING) {
      if (ignored.includes(name)) continue;
      const listener = () => this.#onSignal(name);
      this.#listeners.set(name, listener);
      Deno.addSignalListener(name, listener);
    }
    // As under nohup(1): the first listener of any signal catches several.
    for (const name of ignored) ignoreSignal(name);
  }

  passTo(child: Deno.ChildProcess): void {
    this.#child = child;
    for (const name of this.#early.splice(0)) this.#onSignal(name);
  }

  #onSignal(name: EndingSignal): void {
    if (this.#child === undefined) {
      this.#early.push(name);
      return;
    }
    // What is typed at the terminal reaches the command by itself.
    const isTyped = name === "SIGINT" || name === "SIGQUIT";
    if (isTyped && isInForeground()) return;
    try {
      this.#child.kill(name);
    } catch {
      // It has ended just now.
    }
  }

  [Symbol.dispose](): void {
    for (const [name, listener] of this.#listeners) {
      Deno.removeSignalListener(name, listener);
    }
  }
}

/** The command after `--`. */
export function commandAfterDashes(options: ParsedOptions): readonly string[] {
  const { afterDashes = [] } = options;
  checkUtf8(afterDashes, "an argument of this command's command");
  if (afterDashes.length > 0) return afterDashes;
  throw new UsageError("missing command", { hint: "Write it after --" });
}
