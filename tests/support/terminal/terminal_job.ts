import { fromFileUrl } from "@std/path/from-file-url";
import { closeFile } from "../../../lib/sys/file.ts";
import { HelperProcess } from "../helper_process.ts";
import { type Guard, unless } from "../programs.ts";
import { openPseudoTerminal } from "./pseudo_terminal.ts";

const DRIVER = fromFileUrl(new URL("./job_control.ts", import.meta.url));
const CONFIG = fromFileUrl(new URL("../../../deno.json", import.meta.url));

/** The guard of a test that makes a terminal. */
export function needsTerminal(): Guard {
  try {
    const { master, path } = openPseudoTerminal();
    try {
      Deno.statSync(path);
    } finally {
      closeFile(master);
    }
    return unless(undefined);
  } catch (error) {
    return unless(`no terminals here: ${(error as Error).message}`);
  }
}

/** A foreground job on a terminal of its own, as a shell would run it. */
export class TerminalJob implements AsyncDisposable {
  readonly #driver: HelperProcess;

  private constructor(driver: HelperProcess) {
    this.#driver = driver;
  }

  /** Starts it. */
  static start(command: string, args: string[]): TerminalJob {
    return new TerminalJob(
      HelperProcess.spawn(Deno.execPath(), [
        ...["run", "--quiet", "--no-check", "-A", "--config", CONFIG],
        DRIVER,
        command,
        ...args,
      ]),
    );
  }

  /** Types a text; `\x03` is Ctrl-C. */
  type(text: string): Promise<void> {
    return this.#driver.writeLine(`type ${JSON.stringify(text)}`);
  }

  /** Signals the job's first process only. */
  signal(name: Deno.Signal): Promise<void> {
    return this.#driver.writeLine(`signal ${name}`);
  }

  /** Continues it in the foreground. */
  foreground(): Promise<void> {
    return this.#driver.writeLine("fg");
  }

  /**
   * What happens next: `out LINE` for a line on its terminal, `stopped`, or
   * `exit CODE`, negative for a signal.
   */
  next(): Promise<string | undefined> {
    return this.#driver.nextLine();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#driver.finish();
    await this.#driver[Symbol.asyncDispose]();
  }
}
